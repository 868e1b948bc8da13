// One line of news: what is being waited for, what was done, what went wrong.
const line = document.createElement("p");
line.className = "notice";
element.append(line);

const paint = () => {
  const { tone = "", text = "" } = props.value || {};
  line.setAttribute("role", tone === "bad" ? "alert" : "status");
  line.className = `notice ${tone}`;
  line.hidden = !text;
  if (line.textContent !== text) line.textContent = text;
};

watch('value', paint);
paint();
