// Files: chosen, dropped or pasted; looked at and checked before they are sent.

const UNITS = ["bytes", "kB", "MB", "GB"];

/** Show the chosen file of a field, and take what is dropped on it. */
export function watchFiles(field) {
  const input = field.querySelector("input[type=file]");
  const drop = field.querySelector("[data-drop]");
  if (!input || !drop) return;
  input.addEventListener("change", () => show(field, input));
  takeRows(field, input);
  for (const name of ["dragenter", "dragover"]) {
    drop.addEventListener(name, (event) => {
      if (![...event.dataTransfer.types].includes("Files")) return;
      event.preventDefault();
      drop.classList.add("over");
    });
  }
  for (const name of ["dragleave", "drop"]) drop.addEventListener(name, () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    if (!event.dataTransfer.files.length) return;
    event.preventDefault();
    put(input, event.dataTransfer.files[0]);
  });
}

/** Have rows that are pasted or typed be the file of a table. */
function takeRows(field, input) {
  const rows = field.querySelector("[data-rows]");
  if (!rows) return;
  rows.hidden = false;
  rows.addEventListener("change", (event) => {
    event.stopPropagation();
    if (rows.value.trim()) put(input, new File([rows.value], "table.csv", { type: "text/csv" }));
  });
}

/** Take a pasted file for the first field that wants its type. */
export function watchPaste() {
  document.addEventListener("paste", (event) => {
    const file = event.clipboardData?.files[0];
    if (!file) return;
    const wanting = [...document.querySelectorAll("#fields input[type=file]")];
    const input = wanting.find((each) => isTaken(file, each.accept));
    if (!input) return;
    event.preventDefault();
    put(input, file);
  });
}

/** Have a file input hold a file, as if somebody had chosen it. */
export function put(input, file) {
  const transfer = new DataTransfer();
  transfer.items.add(file);
  input.files = transfer.files;
  input.dispatchEvent(new Event("change", { bubbles: true }));
}

function show(field, input) {
  const file = input.files[0];
  const preview = field.querySelector("[data-preview]");
  const note = field.querySelector(".note");
  note.textContent = file ? sizeOf(file.size) : "";
  if (!preview) return;
  if (preview.src.startsWith("blob:")) URL.revokeObjectURL(preview.src);
  preview.hidden = !file;
  if (file) preview.src = URL.createObjectURL(file);
  else preview.removeAttribute("src");
}

/** What is wrong with the value of an input, as text; empty where nothing is. */
export function faultOf(input) {
  const file = input.files?.[0];
  if (file) {
    if (!isTaken(file, input.accept)) return `This is not of a type that is taken: ${input.accept}.`;
    const most = Number(input.getAttribute("data-max-size"));
    if (most && file.size > most) return `${sizeOf(file.size)} are too much: at most ${sizeOf(most)} are taken.`;
  }
  return input.validationMessage;
}

function isTaken(file, accept) {
  if (!accept) return true;
  return accept.split(",").some((each) => {
    const wanted = each.trim().toLowerCase();
    if (wanted.startsWith(".")) return file.name.toLowerCase().endsWith(wanted);
    const type = file.type.toLowerCase();
    return wanted.endsWith("/*") ? type.startsWith(wanted.slice(0, -1)) : type === wanted;
  });
}

export function sizeOf(count) {
  let unit = 0;
  while (count >= 1000 && unit < UNITS.length - 1) {
    count /= 1000;
    unit += 1;
  }
  return `${Number(count.toPrecision(3))} ${UNITS[unit]}`;
}
