// One line of news: what is being waited for, what was done, what went wrong.
const { listen } = window.quoth;
const SHOWN_FOR = { good: 2_500, bad: 8_000 }; // milliseconds, for news of the page itself
const GONE = { tone: "bad", text: "The server does not answer. Quoth tries again and goes on by itself when it is back." };
const line = document.createElement("p");
line.className = "notice";
element.append(line);

const show = ({ tone = "", text = "" }) => {
  line.setAttribute("role", tone === "bad" ? "alert" : "status");
  line.className = `notice ${tone}`;
  line.hidden = !text;
  if (line.textContent !== text) line.textContent = text;
};

let gone = false;
const paint = () => show(gone ? GONE : (props.value ?? {}));

watch('value', paint);
listen("gone", () => {
  gone = true;
  paint();
});
let timer = null;
listen("news", ({ tone = "good", text }) => {
  clearTimeout(timer);
  show({ tone, text });
  timer = setTimeout(paint, SHOWN_FOR[tone]);
});
paint();
