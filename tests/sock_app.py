"""An application with Flask-Sock, written for Flask; run through the alias."""

from flask import Flask
from flask_sock import Sock

app = Flask(__name__)
sock = Sock(app)


@app.get("/")
def index():
    return "over HTTP"


@sock.route("/echo/<name>")
def echo(socket, name):
    while True:
        message = socket.receive()
        socket.send(name if message == "who" else message)
