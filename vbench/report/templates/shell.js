/* Which section is being read; and paper, which can't be unfolded, shows everything. */
const links = new Map([...document.querySelectorAll(".contents a")].map((link) => [link.hash.slice(1), link]));
const seen = new Set();
const watch = new IntersectionObserver(
  (entries) => {
    entries.forEach(({ target, isIntersecting }) => (isIntersecting ? seen.add(target.id) : seen.delete(target.id)));
    const now = [...links.keys()].find((name) => seen.has(name));
    if (now === undefined) return;
    links.forEach((link, name) => (name === now ? link.setAttribute("aria-current", "true") : link.removeAttribute("aria-current")));
    const [link, strip] = [links.get(now), document.querySelector(".contents ol")];
    if (strip.scrollWidth > strip.clientWidth) strip.scrollLeft = link.parentElement.offsetLeft - strip.clientWidth / 3;
  },
  { rootMargin: "-20% 0px -60% 0px" },
);
document.querySelectorAll("main > section").forEach((section) => watch.observe(section));

let unfolded = [];
addEventListener("beforeprint", () => {
  unfolded = [...document.querySelectorAll("main details:not([open])")];
  unfolded.forEach((one) => (one.open = true));
});
addEventListener("afterprint", () => unfolded.forEach((one) => (one.open = false)));
