// Files on their way into the library: one after another, each with its progress, its time and a way to cancel.
const { make, tell, listen, request } = window.quoth;
const DONE_MILLISECONDS = 10000;
const STOPPED = "Quoth stopped before this was added: add it again.";

const status = make("p", { className: "visually-hidden", attributes: { role: "status" } });
const list = make("ul", { attributes: { "aria-label": "Documents being added" } });
const target = make("div", { className: "drop", hidden: true, attributes: { "aria-hidden": "true" } }, "Drop files to add them");
element.append(list, status, target);

const waiting = []; // jobs: { name, title, body, node, label, step, progress, canceller, controller }
let busy = false;

const quoted = (title) => `“${title}”`;
const seconds = (began) => {
  const passed = (performance.now() - began) / 1000;
  return `${passed.toFixed(passed < 10 ? 1 : 0)} s`;
};

// What had the focus and goes gives it to the next button, or to the question.
const drop = (...nodes) => {
  const focused = nodes.some((node) => node.contains(document.activeElement));
  for (const node of nodes) node.remove();
  if (focused) (list.querySelector("button") ?? document.querySelector("#question textarea"))?.focus();
};

const closer = (text, label, onclick) =>
  make("button", { className: "plain", type: "button", textContent: text, onclick, attributes: { "aria-label": label } });

const jobOf = (source) => {
  const job = { ...source, controller: new AbortController() };
  job.step = make("span", { className: "step", textContent: "Waiting" });
  job.progress = make("progress", { max: 100, hidden: true, attributes: { "aria-label": `Adding ${job.name}` } });
  job.label = make("span", { className: "name", textContent: job.title || job.name, dir: "auto" });
  job.canceller = closer("Cancel", `Cancel ${job.name}`, () => cancel(job));
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
    closer("Dismiss", `Dismiss: ${job.name}`, () => drop(node)),
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
  const readable = await body.slice(0, 1).arrayBuffer().catch(() => null);
  if (!readable) throw new Error(`${name}: cannot be read. Is it a folder? Add the files in it.`);
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
  if (busy) return;
  busy = true;
  const began = performance.now();
  const done = [];
  while (waiting.length) {
    const job = waiting.shift();
    const result = await carry(job);
    if (!result) continue;
    tell("added", { id: result.added, first: done.length === 0 });
    if (result.notice && !done.some(({ notice }) => notice)) note(job, result.notice); // once is enough
    done.push({ ...result, node: job.node });
  }
  busy = false;
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
};

// Files that are dragged over the page

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
  enqueue([...event.dataTransfer.files].map((file) => ({ name: file.name, body: file })));
});
listen("add", enqueue);
