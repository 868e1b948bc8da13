// One question with its answer, as nodes. Everything on screen is set as text, never as markup.
// `does` is what a person can do with it: show, ask, askAsTyped, edit, rate, pick.
const { make, button, quoted, copyText } = window.quoth;

// Quotes

const textOf = (quote) => quote.before + quote.focus + quote.after;
const placeOf = (quote) => (quote.title === quote.section ? quote.title : `${quote.title}: ${quote.section}`);
const cited = (quote) => `${quoted(textOf(quote))} (${placeOf(quote)})`;

const words = (quote) => {
  const focus = quote.focus && make("mark", { className: "focus", textContent: quote.focus });
  return make("span", { className: "words" }, quote.before, focus, quote.after);
};

const context = (quote) =>
  quote.context &&
  make("span", { className: `context ${quote.context.kind}`, textContent: `${quote.context.text} ` });

const marker = (quotes, quote, does) =>
  make("button", {
    className: "marker",
    type: "button",
    textContent: quote.n,
    onclick: does.show(quotes, quote.n),
    data: { n: quote.n },
    attributes: { "aria-label": `Source ${quote.n}: ${quote.section}` },
  });

const quotation = (quotes, does) => (quote) =>
  make("p", { className: "quote" }, context(quote), words(quote), marker(quotes, quote, does));

const path = (quote) =>
  make(
    "span",
    { className: "path" },
    make("span", { className: "document", textContent: quote.title, data: { document: quote.document } }),
    quote.section,
  );

const source = (quotes, does) => (quote) =>
  make(
    "li",
    {},
    make(
      "button",
      { className: "source", type: "button", onclick: does.show(quotes, quote.n), data: { n: quote.n } },
      make("span", { className: "number", textContent: quote.n }),
      path(quote),
      make("span", { className: "in-place", textContent: "Show in place" }),
    ),
    button("copy", `Copy quote ${quote.n} with its citation`, () => copyText(cited(quote)), ""),
  );

const sources = (quotes, does) =>
  make("ol", { className: "sources", attributes: { "aria-label": "Sources" } }, ...quotes.map(source(quotes, does)));

const confidence = (turn) => {
  const percent = Math.round(100 * turn.confidence);
  const meter = make("span", { className: "meter", attributes: { "aria-hidden": "true" } });
  meter.style.setProperty("--share", `${percent}%`);
  return make(
    "p",
    { className: "confidence", title: "Estimated chance that the first passage answers the question" },
    meter,
    make("span", { textContent: `${turn.confidence_words} · ${percent} %` }),
  );
};

const lead = (quotes, does) => (quote) =>
  make("li", { className: "lead", dir: "auto" }, quotation(quotes, does)(quote), make("p", {}, path(quote)));

const leads = (turn, title, does) =>
  turn.leads.length > 0 &&
  make(
    "div",
    { className: "leads" },
    make("h3", { textContent: title }),
    make("ol", {}, ...turn.leads.map(lead(turn.leads, does))),
  );

const line = (turn, more = "") => make("p", { className: "line" }, make("strong", { textContent: turn.line }), more);

const suggestions = (title, questions, does) =>
  questions.length > 0 &&
  make(
    "div",
    { className: "suggestions" },
    make("h3", { textContent: title }),
    make("ul", {}, ...questions.map((question) => make("li", {}, button("example", question, () => does.ask(question))))),
  );

// The question

const asked = (turn, does) =>
  make(
    "header",
    { className: "question-row" },
    make("h2", { className: "asked", dir: "auto", textContent: turn.question }),
    button("edit", "Edit and ask again", (event) => does.edit(event.currentTarget.closest(".turn"), turn), ""),
  );

// In place of the question, until it is asked again or left as it was.
const editor = (turn, again, leave) => {
  const field = make("textarea", { value: turn.question, rows: 2, attributes: { "aria-label": "Edit your question" } });
  const send = () => field.value.trim() && again(field.value);
  field.addEventListener("keydown", (event) => {
    if (event.key === "Escape") leave();
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    send();
  });
  const buttons = make(
    "div",
    { className: "choices" },
    button("choice strong", "Ask again", send),
    button("choice", "Cancel", leave),
  );
  return make("div", { className: "editor" }, field, buttons);
};

const understood = (turn, does) =>
  make(
    "p",
    { className: "resolved" },
    `Understood as: ${turn.resolved} `,
    button("as-typed", "Ask it as I typed it", () => does.askAsTyped(turn.question)),
  );

// What a person can do with an answer

const answerText = (turn) => {
  const quotes = turn.quotes.length ? turn.quotes : turn.leads;
  return [turn.question, "", turn.line, ...quotes.map(cited)].filter((part, at) => part || at === 1).join("\n");
};

const THANKS = "Thank you. It is kept in this library, and nowhere else.";

const feedback = (turn, index, does) => {
  const box = make("div", { className: "feedback", attributes: { role: "group", "aria-label": "Was this helpful?" } });
  const thank = () => {
    const thanks = make("span", { className: "thanks", tabIndex: -1, textContent: THANKS, attributes: { role: "status" } });
    const focused = box.contains(document.activeElement);
    box.replaceChildren(thanks);
    if (focused) thanks.focus();
  };
  const rate = (verdict, place = {}) => does.rate({ turn: index, verdict, ...place }, thank);
  const ask = () => {
    const pick = button("choice", "The answer is here…", (event) => does.pick(event.currentTarget, (place) => rate("answer_here", place)));
    const choices = [
      pick,
      turn.status !== "not_found" && button("choice", "The document does not say", () => rate("not_said")),
      button("choice", "Just not helpful", () => rate("not_helpful")),
    ];
    box.replaceChildren(make("span", { className: "ask", textContent: "What would have been right?" }), ...choices.filter(Boolean));
    pick.focus();
  };
  box.append(button("rate", "Helpful", () => rate("helpful")), button("rate", "Not helpful", ask));
  return box;
};

const actions = (turn, index, does) =>
  make(
    "footer",
    { className: "actions" },
    button("rate", "Copy", () => copyText(answerText(turn))),
    feedback(turn, index, does),
  );

const bodies = {
  answered: (turn, does) => [
    make("div", { className: "passages", dir: "auto" }, ...turn.quotes.map(quotation(turn.quotes, does))),
    sources(turn.quotes, does),
    confidence(turn),
  ],
  unsure: (turn, does) => [line(turn), leads(turn, "Passages that may answer", does), confidence(turn)],
  not_found: (turn, does) => [
    line(turn, " Quoth found no sentence that answers this."),
    leads(turn, "Closest passages (not an answer)", does),
  ],
  empty: (turn) => [line(turn)],
  small_talk: (turn) => [line(turn)],
};

const turnNode = (turn, index, does) => {
  const kind = turn.small_talk ? "small_talk" : turn.status;
  const rated = kind !== "small_talk" && kind !== "empty";
  return make(
    "article",
    { className: `turn ${kind}` },
    asked(turn, does),
    turn.resolved && understood(turn, does),
    ...bodies[kind](turn, does),
    rated && actions(turn, index, does),
  );
};

const pendingNode = (question) =>
  make(
    "article",
    { className: "turn pending", attributes: { "aria-busy": "true" } },
    make("h2", { className: "asked", dir: "auto", textContent: question }),
    make("p", { className: "searching" }, make("span", { className: "dots", attributes: { "aria-hidden": "true" } }), "Looking for the answer"),
  );
