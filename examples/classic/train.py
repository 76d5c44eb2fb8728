"""Train on reviews.csv and save the whole model: python train.py [FILE]"""

import csv
import os
import sys
import tempfile
from pathlib import Path

import torch
from model import LABELS, SentimentModel
from torch import nn

HERE = Path(__file__).parent


def train():
    torch.manual_seed(0)
    with open(HERE / "reviews.csv", newline="") as file:
        reviews = list(csv.DictReader(file))
    words = sorted({word for review in reviews for word in review["text"].lower().split()})
    model = SentimentModel(words)
    answers = torch.tensor([LABELS.index(review["label"]) for review in reviews])
    texts = [model.encode(review["text"]) for review in reviews]
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02, weight_decay=1e-3)
    for _ in range(60):
        optimizer.zero_grad()
        scores = torch.cat([model(text) for text in texts])
        loss = nn.functional.cross_entropy(scores, answers)
        loss.backward()
        optimizer.step()
    return model


def save(model, path):
    """Write beside the place, then rename, so that no worker reads half a file."""
    with tempfile.NamedTemporaryFile(dir=Path(path).parent, delete=False) as file:
        torch.save(model, file)
    os.replace(file.name, path)


if __name__ == "__main__":
    save(train(), sys.argv[1] if len(sys.argv) > 1 else HERE / "model.pt")
