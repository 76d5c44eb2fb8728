"use strict";

const room = document.querySelector(".room");
const messages = room.querySelector(".messages");
const form = room.querySelector(".say");
const field = form.elements.text;
const state = document.querySelector(".state");

const MOST_SHOWN = 500;
const FIRST_PAUSE = 500, LONGEST_PAUSE = 8000; // milliseconds

let socket = null;
let pause = FIRST_PAUSE;

function connect() {
  const url = new URL(room.dataset.socket, location.href);
  url.host = location.host;
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  socket = new WebSocket(url);
  socket.onmessage = (event) => show(JSON.parse(event.data));
  socket.onclose = lose;
}

function lose() {
  setOpen(false);
  state.textContent = "The connection is lost. Trying again …";
  // Not all pages at once, when a server comes back.
  setTimeout(connect, pause * (0.5 + Math.random()));
  pause = Math.min(2 * pause, LONGEST_PAUSE);
}

function setOpen(isOpen) {
  field.disabled = form.querySelector("button").disabled = !isOpen;
  if (isOpen) field.focus();
}

function show(message) {
  if (message.kind === "welcome") {
    pause = FIRST_PAUSE;
    state.textContent = `Connected to process ${message.process}`;
    setOpen(true);
    return;
  }
  const atEnd = messages.scrollHeight - messages.scrollTop - messages.clientHeight < 40;
  const line = document.createElement("li");
  line.className = message.kind;
  if (message.kind === "said") {
    const name = document.createElement("b");
    name.textContent = message.name;
    line.append(name, message.text);
    line.classList.toggle("own", message.name === room.dataset.name);
  } else if (message.kind === "problem") {
    line.textContent = message.text;
  } else {
    line.textContent = `${message.name} ${message.kind === "entered" ? "is here" : "has left"}`;
  }
  messages.append(line);
  while (messages.children.length > MOST_SHOWN) messages.firstChild.remove();
  if (atEnd) messages.scrollTop = messages.scrollHeight;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const text = field.value.trim();
  if (!text || socket.readyState !== WebSocket.OPEN) return;
  socket.send(JSON.stringify({ text }));
  field.value = "";
});

// A page that is put aside and shown again has lost its socket without having heard of it.
window.addEventListener("pageshow", (event) => {
  if (event.persisted && socket.readyState === WebSocket.CLOSED) connect();
});

connect();
