"""LitServe with batching: ``python -m benchmarks.ml.apps.litserve_app PORT``."""

from __future__ import annotations

import os
import sys
from typing import Any

import litserve

from ..models import BATCH, from_environ

#: seconds that a batch waits to be full
WAIT = float(os.environ.get("BENCHMARK_LITSERVE_WAIT", "0.01"))


class Api(litserve.LitAPI):
    def setup(self, device: Any) -> None:
        self.predict_all = from_environ()

    def decode_request(self, request):  # type: ignore[no-untyped-def]  # LitServe reads it
        """Without an annotation, the document as it is."""
        return request["input"]

    def batch(self, inputs: Any) -> Any:
        return inputs

    def predict(self, x: Any) -> Any:
        return self.predict_all(x)

    def unbatch(self, output: Any) -> Any:
        return output

    def encode_response(self, output: Any) -> Any:
        return {"output": output}


if __name__ == "__main__":
    server = litserve.LitServer(
        Api(max_batch_size=BATCH, batch_timeout=WAIT),
        accelerator="cpu",
        workers_per_device=1,
        fast_queue=os.environ.get("BENCHMARK_LITSERVE_FAST", "1") == "1",
    )
    server.run(
        host="127.0.0.1",
        port=int(sys.argv[1]),
        num_api_servers=1,
        log_level="warning",
        generate_client_file=False,
        access_log=False,
    )
