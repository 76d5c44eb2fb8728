"""The network: the mean of a text's word vectors, and one layer that weighs it."""

import re

import torch
from torch import nn

LABELS = ["negative", "positive"]


class SentimentModel(nn.Module):
    def __init__(self, words):
        super().__init__()
        self.numbers = {word: number for number, word in enumerate(words, start=1)}  # 0: unknown
        self.bag = nn.EmbeddingBag(len(words) + 1, 16, mode="mean", padding_idx=0)
        self.weigh = nn.Linear(16, len(LABELS))

    def encode(self, text):
        numbers = [self.numbers.get(word, 0) for word in re.findall(r"[a-z']+", text.lower())]
        return torch.tensor([numbers or [0]])

    def forward(self, encoded):
        return self.weigh(self.bag(encoded))
