// The conversation: questions with their answers (their nodes are made in turn.js).
const { tell, listen, address, settle, restoreDraft, scrollBehavior } = window.quoth;
const MAX_ADDRESS_CHARS = 500;
const SPACE_ABOVE = 20; // pixels between the header and the question that is scrolled to

const log = make("div", { className: "log", attributes: { role: "log", "aria-live": "off", "aria-label": "Conversation" } });
const announcer = make("div", { className: "visually-hidden", attributes: { role: "status", "aria-live": "polite" } });
element.append(log, announcer);

let open = null; // what the reader shows: { id, title, examples }
let painted = []; // { key, node } of the turns on screen
let subject = "your document"; // what is asked: the one document, or how many
let greeting = null;
let waiting = null;
let begun = false; // whether the page has what it starts with: turns that come later are answers
let citing = null; // the turn whose citations the reader shows

const ask = (question) => trigger('submit', { question });

// Citations

const citesOf = (quotes) => quotes.map(({ n, document, sentences }) => ({ n, document, sentences }));

const show = (quotes, n) => (event) => {
  citing = event.currentTarget.closest(".turn");
  tell("cite", { cites: citesOf(quotes), n, origin: event.currentTarget, keyboard: event.detail === 0 });
};

// Questions to ask

const plain = (text) => text.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, " ").trim();

const unasked = () => {
  const asked = new Set(props.value.turns.map((turn) => plain(turn.question)));
  return (open?.examples ?? []).filter((example) => !asked.has(plain(example)));
};

const edit = (node, turn) => {
  const index = painted.findIndex((each) => each.node === node);
  const row = node.querySelector(".question-row");
  const leave = () => {
    form.replaceWith(row);
    row.querySelector(".edit").focus();
  };
  const again = (question) => trigger('submit', { question, replaces: index });
  const form = editor(turn, again, leave);
  row.replaceWith(form);
  form.querySelector("textarea").select();
};

const does = {
  ask,
  show,
  unasked,
  edit,
  askAsTyped: (question) => trigger('submit', { question, alone: "yes" }),
  rate: (turn, verdict, place) => trigger('like', { turn, verdict, ...place }),
  pick: (done) => tell("pick", { done }),
};

const greet = () =>
  make(
    "div",
    { className: "greeting" },
    make("h2", { textContent: "What would you like to know?" }),
    make(
      "p",
      {},
      "Ask anything about ",
      make("cite", { dir: "auto", textContent: subject }),
      ". ",
      "Every answer is a quotation that you can check in its place.",
    ),
    suggestions("For example", unasked(), does),
  );

// Painting

// The documents of a turn are named unless it has but one, and that is open.
const nameDocuments = (turn) => {
  const ids = new Set([...turn.querySelectorAll("[data-document]")].map((node) => node.dataset.document));
  turn.classList.toggle("titled", ids.size > 1 || !ids.has(open?.id));
};

const scrollToTurn = (node) => {
  const offset = node.querySelector("h2, .editor").getBoundingClientRect().top - log.getBoundingClientRect().top;
  log.scrollTo({ top: log.scrollTop + offset - SPACE_ABOVE, behavior: scrollBehavior() });
};

const paintTurns = (turns) => {
  const keys = turns.map((turn) => JSON.stringify(turn));
  const kept = painted.findIndex(({ key }, index) => key !== keys[index]);
  const stale = kept < 0 ? [] : painted.splice(kept);
  for (const { node } of stale) node.remove();
  const fresh = turns.slice(painted.length).map((turn, index) => {
    const at = painted.length + index;
    return { key: keys[at], node: turnNode(turn, at, does) };
  });
  log.append(...fresh.map(({ node }) => node));
  fresh.forEach(({ node }) => nameDocuments(node));
  painted.push(...fresh);
  return fresh;
};

const paintGreeting = () => {
  greeting?.remove();
  greeting = painted.length || props.value.pending ? null : greet();
  if (greeting) log.prepend(greeting);
};

const paintPending = (question) => {
  waiting?.remove();
  waiting = question ? pendingNode(question) : null;
  if (!waiting) return;
  log.append(waiting);
  scrollToTurn(waiting);
};

const announce = (turn) => {
  const found = turn.quotes.length
    ? `${turn.confidence_words}. ${turn.quotes.map((quote) => quote.before + quote.focus + quote.after).join(" ")}`
    : turn.line;
  announcer.textContent = found;
};

const showLast = (scrolls) => {
  const turn = props.value.turns.at(-1);
  citing = painted.at(-1).node;
  scrollToTurn(citing);
  tell("answered", { cites: citesOf(turn.quotes.length ? turn.quotes : turn.leads), scrolls });
};

const finish = () => {
  const turn = props.value.turns.at(-1);
  showLast(turn.status !== "not_found");
  announce(turn);
  address({ q: turn.question.length <= MAX_ADDRESS_CHARS ? turn.question : "" });
};

const forget = () => {
  tell("answered", { cites: [] });
  if (begun) address({ q: "" });
};

const paint = () => {
  const { turns, pending } = props.value;
  const wasWaiting = waiting !== null;
  const fresh = paintTurns(turns);
  paintPending(pending);
  paintGreeting();
  if (!turns.length && !pending) forget();
  else if (fresh.length && (wasWaiting || begun)) finish();
  else if (fresh.length) showLast(false);
};

// A question in the address is asked once the page knows its document.
const begin = () => {
  if (begun) return;
  begun = true;
  settle();
  restoreDraft();
  const question = new URLSearchParams(location.search).get("q");
  if (question && props.value.turns.at(-1)?.question !== question) ask(question);
};

// Back and forward: to the turn with this question, where it is still on screen.
const walk = ({ q }) => {
  const index = props.value.turns.findLastIndex((turn) => turn.question === q);
  if (index >= 0) {
    const { quotes, leads } = props.value.turns[index];
    citing = painted[index].node;
    scrollToTurn(citing);
    tell("answered", { cites: citesOf(quotes.length ? quotes : leads), scrolls: true });
  } else if (q) {
    ask(q);
  } else {
    log.scrollTo({ top: 0, behavior: scrollBehavior() });
  }
};

watch('value', paint);
listen("walk", walk);
listen("asked", (what) => {
  subject = what;
  paintGreeting();
});
listen("document", (shown) => {
  open = shown;
  painted.forEach(({ node }) => nameDocuments(node));
  paintGreeting();
  setTimeout(begin);
});
listen("current", ({ n }) => {
  for (const node of log.querySelectorAll("[data-n]")) {
    node.classList.toggle("current", node.closest(".turn") === citing && node.dataset.n === String(n));
  }
});
paint();
