// What was asked in this tab, with the answers; it never leaves the browser.
import { clearFaults, showKept } from "./answer.js";
import { offerCopies } from "./copy.js";

const KEY = `erlen.history ${location.pathname}`;
const MOST = 20;
const THUMBNAIL = 64;
const LONGEST = 120;

/** Keep the answer that is shown, with the values that it was asked with. */
export function keep(form, picture) {
  const values = [...form].filter(([name, value]) => typeof value === "string" && !name.startsWith("erlen-"));
  const files = [...form].map(([, value]) => value).filter((value) => value instanceof File && value.size);
  const chosen = document.querySelector("#fields [data-example] .note a")?.textContent;
  const names = [...values.map(([, value]) => value), ...files.map((file) => file.name)];
  const answer = document.querySelector("#result :is(.best, .text, .rows td)");
  const entries = read();
  entries.unshift({
    values,
    asked: (names.filter((text) => text.trim()).join(" · ") || chosen || "").slice(0, LONGEST),
    answered: (answer?.firstChild?.textContent ?? "").trim().replace(/\s+/g, " ").slice(0, LONGEST),
    picture: picture ? shrink(picture) : "",
    result: document.getElementById("result").innerHTML,
    calls: document.getElementById("calls").innerHTML,
  });
  write(entries.slice(0, MOST));
}

/** List what was kept; `fill` gets the values of an entry that somebody goes back to. */
export function listHistory(fill) {
  const entries = read();
  const box = document.getElementById("history");
  const list = box?.querySelector("ol");
  if (!list) return;
  box.hidden = entries.length === 0;
  list.replaceChildren(...entries.map((entry) => row(entry, list, fill)));
  document.getElementById("forget").onclick = () => {
    sessionStorage.removeItem(KEY);
    listHistory(fill);
  };
}

function row(entry, list, fill) {
  const item = document.createElement("li");
  const button = document.createElement("button");
  button.type = "button";
  if (entry.picture) {
    const picture = document.createElement("img");
    picture.src = entry.picture;
    picture.alt = "";
    button.append(picture);
  }
  button.append(words("asked", entry.asked || "No input"), words("answered", entry.answered));
  button.addEventListener("click", () => {
    for (const other of list.querySelectorAll("[aria-current]")) other.removeAttribute("aria-current");
    button.setAttribute("aria-current", "true");
    clearFaults();
    showKept(entry);
    offerCopies();
    fill(entry.values);
  });
  item.append(button);
  return item;
}

function words(name, text) {
  const span = document.createElement("span");
  span.className = name;
  span.textContent = text;
  return span;
}

function shrink(picture) {
  const width = picture.naturalWidth || picture.width;
  const height = picture.naturalHeight || picture.height;
  if (!width || !height) return "";
  const scale = Math.min(1, THUMBNAIL / Math.max(width, height));
  const small = document.createElement("canvas");
  small.width = Math.max(1, Math.round(width * scale));
  small.height = Math.max(1, Math.round(height * scale));
  small.getContext("2d").drawImage(picture, 0, 0, small.width, small.height);
  return small.toDataURL("image/png");
}

function read() {
  try {
    const kept = JSON.parse(sessionStorage.getItem(KEY) ?? "[]");
    return Array.isArray(kept) ? kept : [];
  } catch {
    return []; // storage is forbidden here, or holds something else
  }
}

/** Store as many of the entries as there is room for, the newest first. */
function write(entries) {
  for (let count = entries.length; count > 0; count -= 1) {
    try {
      sessionStorage.setItem(KEY, JSON.stringify(entries.slice(0, count)));
      return;
    } catch {
      // Full: the oldest goes.
    }
  }
}
