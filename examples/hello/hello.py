"""Hello, world.

erlen --app examples/hello/hello run
"""

from erlen import Erlen

app = Erlen(__name__)


@app.route("/")
def hello() -> str:
    return "Hello, World!"
