// Files on their way into the library: one after another, each with its progress, its time and a way to cancel.
const { make, button, quoted, tell, listen, request } = window.quoth;
const DONE_MILLISECONDS = 10000;
const STOPPED = "Quoth stopped before this was added: add it again.";

const status = make("p", { className: "visually-hidden", attributes: { role: "status" } });
const list = make("ul", { attributes: { "aria-label": "Documents being added" } });
const target = make(
  "div",
  { className: "drop", hidden: true, attributes: { "aria-hidden": "true" } },
  "Drop files or folders to add them",
);

// A line about several at once.
const bar = (label, onclick) => {
  const text = make("span");
  const node = make("div", { className: "bar", hidden: true }, text, button("plain", label, onclick));
  const paint = (count, line) => {
    const focused = count < 2 && node.contains(document.activeElement);
    node.hidden = count < 2;
    text.textContent = `${count} ${line}`;
    if (focused) passFocus();
  };
  return { node, paint };
};
const ahead = bar("Cancel all", () => unfinished().forEach(cancel));
const said = bar("Dismiss all", () => drop(...notes()));
element.append(ahead.node, said.node, list, status, target);

const waiting = []; // jobs: { name, title, body, node, label, step, progress, canceller, controller }
let current = null; // the job under way

const unfinished = () => [current, ...waiting].filter(Boolean);
const notes = () => list.querySelectorAll(".failed");
const paintBars = () => {
  ahead.paint(unfinished().length, "still to be added");
  said.paint(notes().length, "messages");
};

const seconds = (began) => {
  const passed = (performance.now() - began) / 1000;
  return `${passed.toFixed(passed < 10 ? 1 : 0)} s`;
};

// What had the focus and goes gives it to the next button, or to the question.
const passFocus = () => (list.querySelector("button") ?? document.querySelector("#question textarea"))?.focus();

const drop = (...nodes) => {
  const focused = nodes.some((node) => node.contains(document.activeElement));
  for (const node of nodes) node.remove();
  if (focused) passFocus();
  paintBars();
};

const jobOf = (source) => {
  const job = { ...source, controller: new AbortController() };
  job.step = make("span", { className: "step", textContent: "Waiting" });
  job.progress = make("progress", { max: 100, hidden: true, attributes: { "aria-label": `Adding ${job.name}` } });
  job.label = make("span", { className: "name", textContent: job.title || job.name, dir: "auto" });
  job.canceller = button("plain", `Cancel ${job.name}`, () => cancel(job), "Cancel");
  job.node = make("li", {}, job.label, job.step, job.canceller, job.progress);
  return job;
};

const cancel = (job) => {
  job.controller.abort();
  const index = waiting.indexOf(job);
  if (index >= 0) waiting.splice(index, 1);
  drop(job.node);
};

const note = (job, line) => {
  const node = make(
    "li",
    { className: "failed" },
    make("p", { textContent: line, attributes: { role: "alert" } }),
    button("plain", `Dismiss: ${job.name}`, () => drop(node), "Dismiss"),
  );
  job.node.after(node);
};

const fail = (job, line) => {
  note(job, line);
  drop(job.node);
};

const finish = (job, { title, known }, time) => {
  job.label.textContent = title;
  job.step.textContent = known ? "In the library already" : `Added · ${time}`;
  drop(job.canceller, job.progress);
};

// The last of the lines that the server answers with; each one before tells a step.
const follow = async (response, tellStep) => {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let begun = "";
  let last = { error: STOPPED };
  for (let { value, done } = await reader.read(); !done; { value, done } = await reader.read()) {
    const lines = (begun + value).split("\n");
    begun = lines.pop();
    for (const line of lines) last = JSON.parse(line);
    tellStep(last);
  }
  return "stage" in last ? { error: STOPPED } : last;
};

const send = async ({ name, title = "", body, controller }) => {
  const readable = await body?.slice(0, 1).arrayBuffer().catch(() => null);
  if (!readable) throw new Error(`${name}: cannot be read.`);
  return request("POST", `documents?${new URLSearchParams({ name, title })}`, body, controller.signal);
};

// Adds one file; gives what the server says in the end, and null when it failed or was cancelled.
const carry = async (job) => {
  const began = performance.now();
  let stage = "Reading";
  const paint = () => {
    job.step.textContent = `${stage} · ${seconds(began)}`;
  };
  const clock = setInterval(paint, 500);
  job.progress.hidden = false;
  list.scrollTo({ top: job.node.offsetTop - list.offsetTop });
  try {
    const result = await follow(await send(job), (step) => {
      if (!step.stage) return;
      stage = step.percent === null ? step.stage : `${step.stage} ${step.percent} %`;
      if (step.percent !== null) job.progress.value = step.percent;
      paint();
    });
    if (result.error) throw new Error(result.error);
    finish(job, result, seconds(began));
    return result;
  } catch (error) {
    if (!job.controller.signal.aborted) fail(job, error.message);
  } finally {
    clearInterval(clock);
  }
  return null;
};

const run = async () => {
  if (current) return;
  const began = performance.now();
  const done = [];
  while (waiting.length) {
    const job = (current = waiting.shift());
    const result = await carry(job);
    current = null;
    paintBars();
    if (!result) continue;
    tell("added", { id: result.added, first: done.length === 0 });
    if (result.notice && !done.some(({ notice }) => notice)) note(job, result.notice); // once is enough
    done.push({ ...result, node: job.node });
  }
  status.textContent = summaryOf(done, seconds(began));
  setTimeout(() => drop(...done.map(({ node }) => node)), DONE_MILLISECONDS);
};

const summaryOf = (results, time) => {
  const added = results.filter(({ known }) => !known);
  const known = results.filter((result) => result.known);
  const one = ([{ title }]) => quoted(title);
  const fresh = added.length === 1 ? one(added) : `${added.length} documents`;
  const old = known.length === 1 ? `${one(known)} was` : `${known.length} documents were`;
  return [added.length && `Added ${fresh} in ${time}.`, known.length && `${old} in the library already.`]
    .filter(Boolean)
    .join(" ");
};

const enqueue = (sources) => {
  if (!sources.length) return;
  const jobs = sources.map(jobOf);
  waiting.push(...jobs);
  list.append(...jobs.map(({ node }) => node));
  status.textContent = jobs.length === 1 ? `Adding ${jobs[0].title || jobs[0].name}` : `Adding ${jobs.length} files`;
  run();
  paintBars();
};

// Files and folders that are dragged over the page

const HIDDEN = /^\./; // what systems and editors leave in folders

const entriesOf = async (folder) => {
  const reader = folder.createReader();
  const found = [];
  const more = () => new Promise((resolve, reject) => reader.readEntries(resolve, reject)); // at most 100 at once
  for (let some = await more(); some.length; some = await more()) found.push(...some);
  return found.filter(({ name }) => !HIDDEN.test(name)).sort((one, other) => one.name.localeCompare(other.name));
};

const sourcesOf = async (entry) => {
  const { name } = entry;
  try {
    if (entry.isFile) return [{ name, body: await new Promise((resolve, reject) => entry.file(resolve, reject)) }];
    return (await Promise.all((await entriesOf(entry)).map(sourcesOf))).flat();
  } catch {
    return [{ name, body: null }]; // its line says that it cannot be read
  }
};

const take = async ({ items, files }) => {
  const entries = [...items].map((item) => item.webkitGetAsEntry()).filter(Boolean); // gone once the event is over
  const plain = entries.length ? [] : [...files].map((file) => ({ name: file.name, body: file }));
  const sources = [...plain, ...(await Promise.all(entries.map(sourcesOf))).flat()];
  if (!sources.length) tell("news", { text: "There is no file in this folder.", tone: "bad" });
  enqueue(sources);
};

const bringsFiles = (event) => event.dataTransfer?.types.includes("Files");

const over = (event) => {
  if (!bringsFiles(event)) return;
  event.preventDefault();
  target.hidden = false;
};

document.addEventListener("dragenter", over);
document.addEventListener("dragover", over);
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) target.hidden = true;
});
document.addEventListener("drop", (event) => {
  if (!bringsFiles(event)) return;
  event.preventDefault();
  target.hidden = true;
  take(event.dataTransfer);
});
listen("add", enqueue);
