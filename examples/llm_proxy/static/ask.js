"use strict";

// Ask with fetch and read the events from its body. EventSource could not: it only sends GET, and when a connection is
// lost it asks again by itself, which would start (and pay for) a second answer.
const form = document.querySelector(".ask");
const field = form.querySelector("textarea");
const answer = document.querySelector(".answer");
const stop = answer.querySelector(".stop");
const text = answer.querySelector(".text");
const status = answer.querySelector(".status");
let call = null;

form.querySelector(".hint").hidden = false;

document.addEventListener("submit", (event) => {
  event.preventDefault();
  const suggested = event.submitter?.name === "prompt" ? event.submitter.value : null;
  if (suggested) field.value = suggested;
  ask(field.value);
});
stop.addEventListener("click", () => call?.abort());
window.addEventListener("pagehide", () => call?.abort());  // browsers keep a page that is left for a while, and its calls
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") call?.abort();
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && event.target === field) form.requestSubmit();
});

async function ask(prompt) {
  call?.abort();
  const mine = (call = new AbortController());
  answer.querySelector(".question").textContent = prompt;
  text.replaceChildren();
  show("waiting");
  answer.scrollIntoView({ block: "nearest" });
  let end;
  try {
    end = await receive(prompt, mine);
  } catch {
    end = mine.signal.aborted ? ["stopped", "Stopped."] : ["failed", "The connection was lost."];
  }
  if (call !== mine) return;  // asked anew meanwhile
  call = null;
  show(...end);
}

async function receive(prompt, { signal }) {
  const response = await fetch(form.dataset.stream, {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "text/event-stream" },
    body: JSON.stringify({ prompt }),
    signal,
  });
  if (!response.ok) return ["failed", (await response.json()).error];
  for await (const { type, data } of events(response.body)) {
    if (signal.aborted) break;
    if (type === "message") add(data.text);
    if (type === "error") return ["failed", data.message];
    if (type === "done") return ["done", `Done: ${data.pieces} pieces.`];
  }
  signal.throwIfAborted();
  return ["failed", "The answer broke off."];
}

// The events of a stream, an empty line after each; what begins with a colon only keeps the connection open.
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let received = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (received + value).split("\n\n");
    received = blocks.pop();
    for (const block of blocks) {
      const fields = { event: "message", data: "" };
      for (const line of block.split("\n")) {
        const [, name, rest] = line.match(/^(\w*):? ?(.*)$/);
        if (name) fields[name] = rest;
      }
      if (fields.data) yield { type: fields.event, data: JSON.parse(fields.data) };
    }
  }
}

// As text, never as HTML. Who reads at the end of the page stays there; who scrolled up is left alone.
function add(piece) {
  const page = document.documentElement;
  const follows = window.innerHeight + window.scrollY > page.scrollHeight - 80;
  text.append(piece);
  show("streaming");
  if (follows) window.scrollTo(0, page.scrollHeight);
}

function show(state, message = "") {
  const busy = state === "waiting" || state === "streaming";
  answer.dataset.state = state;
  answer.setAttribute("aria-busy", busy);
  if (!busy && document.activeElement === stop) answer.focus();  // its place is not lost with the button
  stop.hidden = !busy;
  if (status.textContent !== message) status.textContent = message;
}
