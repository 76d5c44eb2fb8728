// Answers that come piece by piece, as server-sent events (HTML Standard, 9.2).

/** Show text as it comes, below `result`'s heading; gives the page that ends the stream. */
export async function follow(answer, result) {
  const heading = result.querySelector("h2");
  const text = document.createElement("p");
  text.className = "text";
  text.setAttribute("data-text", "");
  result.replaceChildren(heading, text);
  let page = "";
  for await (const event of eventsOf(answer.body)) {
    if (event.name === "page") page = event.data;
    else text.append(event.data);
  }
  return page;
}

async function* eventsOf(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split(/\r?\n\r?\n/);
    rest = blocks.pop();
    yield* blocks.map(read).filter((event) => event.data !== null);
  }
}

function read(block) {
  const event = { name: "message", data: null };
  for (const line of block.split(/\r?\n/)) {
    const [, field, value] = line.match(/^([^:]*):? ?(.*)$/s);
    if (field === "event") event.name = value;
    else if (field === "data") event.data = event.data === null ? value : `${event.data}\n${value}`;
  }
  return event;
}
