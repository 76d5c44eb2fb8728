"""A runtime for MLServer, which batches; it makes arrays of what the V2 protocol brings."""

from __future__ import annotations

from typing import Any

from mlserver import MLModel
from mlserver.codecs import NumpyCodec, StringCodec
from mlserver.types import InferenceRequest, InferenceResponse

from benchmarks.ml.models import from_environ


class Model(MLModel):
    async def load(self) -> bool:
        self.predict_all = from_environ()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        first = payload.inputs[0]
        items: Any
        if first.datatype == "BYTES":
            items = StringCodec.decode_input(first)
        else:
            items = NumpyCodec.decode_input(first)
        import numpy as np

        found = np.array(self.predict_all(items))
        return InferenceResponse(
            model_name=self.name, outputs=[NumpyCodec.encode_output("output", found)]
        )
