/* "And how long for mine?": the formulas of vbench/report/units_of_use.py. */
const quantity = (value) =>
  Math.abs(value) >= 100
    ? value.toLocaleString("en-US", { maximumFractionDigits: 0 })
    : String(Number(value.toPrecision(3)));
const duration = (seconds) => {
  if (seconds < 10) return `${seconds.toFixed(1)}s`;
  const whole = Math.round(seconds);
  const two = (number) => String(number).padStart(2, "0");
  if (whole < 60) return `${whole}s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}m ${two(whole % 60)}s`;
  return `${Math.floor(whole / 3600).toLocaleString("en-US")}h ${two(Math.floor((whole % 3600) / 60))}m`;
};
document.querySelectorAll(".calculator").forEach((box) => {
  const rate = Number(box.dataset.requestsPerS);
  const startup = Number(box.dataset.startupS);
  const fields = box.querySelector(".fields");
  const asked = (name) => Number(fields.querySelector(`[name=${name}]`).value);
  const say = (name, text) => box.querySelectorAll(`[data-of=${name}]`).forEach((place) => (place.textContent = text));
  const compute = () => {
    const [prompts, tasks, hours] = ["prompts", "tasks", "hours"].map(asked);
    say("prompts", prompts > 0 ? prompts.toLocaleString("en-US") : "–");
    say("tasks", tasks > 0 ? tasks.toLocaleString("en-US") : "–");
    say("hours", hours > 0 ? String(hours) : "–");
    say("time", prompts > 0 ? duration(startup + prompts / rate) : "–");
    const left = Math.max(0, hours * 3600 - startup);
    say("samples", tasks > 0 && hours > 0 ? quantity((left * rate) / tasks) : "–");
  };
  fields.hidden = false;
  fields.addEventListener("input", compute);
});
