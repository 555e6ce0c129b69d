/* A button beside everything that people paste. */
const copied = async (text) => {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    /* No clipboard here, or none allowed: the older way, by a selection. */
    const field = make("textarea", { value: text, readOnly: true, className: "hidden" });
    document.body.append(field);
    field.select();
    const isDone = document.execCommand("copy");
    field.remove();
    return isDone;
  }
};
const said = make("div", { className: "hidden" });
said.setAttribute("role", "status");
document.body.append(said);
document.querySelectorAll("[data-copied]").forEach((box) => {
  const button = make("button", { type: "button", className: "copy", textContent: "Copy" });
  const what = box.querySelector("pre").getAttribute("aria-label");
  if (what) button.setAttribute("aria-label", `Copy: ${what}`);
  button.addEventListener("click", async () => {
    const isDone = await copied(box.querySelector("code").textContent);
    button.textContent = isDone ? "Copied" : "Select it yourself";
    said.textContent = isDone ? "Copied" : "It could not be copied";
    button.focus();
    setTimeout(() => {
      button.textContent = "Copy";
      said.textContent = "";
    }, 2000);
  });
  box.append(button);
});
