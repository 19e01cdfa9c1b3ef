const PAGE_ROWS = 100, PRINTED_ROWS = 1000;
const facts = JSON.parse(document.getElementById("facts").textContent);
const rows = JSON.parse(document.getElementById("rows").textContent);
const at = Object.fromEntries(facts.columns.map((name, k) => [name, k]));
const isCoded = facts.columns.map(name => facts.coded.includes(name));
const byId = id => document.getElementById(id);
const ORDER = {fake: 0, real: 1, inconclusive: 2, failed: 3};
const SHAPES = {real: "M8 2a6 6 0 1 0 .01 0Z", fake: "M8 1.5 15 14.5H1Z", inconclusive: "M8 1 15 8 8 15 1 8Z", failed: "M3 1 8 6l5-5 2 2-5 5 5 5-2 2-5-5-5 5-2-2 5-5-5-5Z"};
const withPosterior = facts.prevalence !== null;
const state = {text: "", outcomes: new Set(Object.keys(ORDER)), only: "all", sort: "order", falling: false, page: 0, perPage: PAGE_ROWS};
let found = [];
let haystacks = null;

function value(row, name) {
  const cell = row[at[name]];
  if (cell === null || !isCoded[at[name]]) return cell;
  return Array.isArray(cell) ? cell[0] : facts.words[cell];
}
function element(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined && text !== null) made.textContent = text;
  if (className) made.className = className;
  return made;
}
function shape(outcome) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", "shape");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", SHAPES[outcome]);
  svg.append(path);
  return svg;
}

const changed = row => row[at.sha256_after] !== null && row[at.sha256_after] !== facts.same;
const KEPT = {
  all: () => true,
  contradicted: row => row[at.is_contradicted],
  yes: row => value(row, "says_generated") === "yes",
  no: row => value(row, "says_generated") === "no",
  warned: row => row[at.warnings].length > 0,
  outside: row => row[at.is_inside] === false,
  changed,
};
function haystack(row) {
  return [row[at.path], row[at.warnings].join(" "), row[at.provenance], row[at.error], row[at.sha256], value(row, "coding")].join("\n").toLowerCase();
}
function sortKey(name) {
  if (name === "outcome") return row => ORDER[value(row, "outcome")];
  return row => row[at[name]];
}
function isMuted(row) { const outcome = value(row, "outcome"); return outcome === "inconclusive" || outcome === "failed"; }

function choose() {
  const words = state.text.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length && !haystacks) haystacks = rows.map(haystack);
  const keeps = KEPT[state.only];
  found = [];
  for (let k = 0; k < rows.length; k++) {
    if (!state.outcomes.has(value(rows[k], "outcome")) || !keeps(rows[k])) continue;
    if (words.every(word => haystacks[k].includes(word))) found.push(k);
  }
  sortFound();
  state.page = 0;
  render();
}
function sortFound() {
  const sign = state.falling ? -1 : 1;
  if (state.sort === "order") { if (state.falling) found.reverse(); return; }
  const key = sortKey(state.sort);
  const keys = new Map(found.map(k => [k, key(rows[k])]));
  const apart = kind.apart.includes(state.sort);
  const muted = apart ? new Map(found.map(k => [k, isMuted(rows[k])])) : null;
  found.sort((a, b) => {
    if (apart && muted.get(a) !== muted.get(b)) return muted.get(a) ? 1 : -1;
    const x = keys.get(a), y = keys.get(b);
    if (x === y) return a - b;
    if (x === null) return 1;
    if (y === null) return -1;
    return x < y ? -sign : sign;
  });
}

// scores between the two decide nothing; null where every score decides
function zoneOf(row) {
  const low = value(row, "undecided_low");
  return low === null ? null : [low, value(row, "undecided_high")];
}
function digits(number) { return number === null ? "" : number.toFixed(3); }
function share(number) { return number === null ? "" : number < 0.001 ? "< 0.001" : number > 0.999 ? "> 0.999" : digits(number); }
function ratioText(log10) {
  const ratio = 10 ** Math.abs(log10);
  const text = ratio < 10 ? ratio.toFixed(1) : Math.round(ratio).toLocaleString("en");
  return log10 >= 0 ? text : `1/${text}`;
}
function verdictWord(row) {
  const outcome = value(row, "outcome");
  return row[at.is_improbable] ? (outcome === "fake" ? "alarm" : "no alarm") : facts.names[outcome];
}
function cell(line, label, className) {
  const made = line.insertCell();
  made.dataset.label = label;
  if (className) made.className = className;
  return made;
}
function nameInPieces(name) {
  const made = element("span", null, "name");
  for (const piece of name.split(/([_-])/)) made.append(piece, ...("_-".includes(piece) && piece ? [element("wbr")] : []));
  return made;
}
function fileCell(line, row) {
  const path = row[at.path], cut = path.lastIndexOf("/") + 1;
  const open = element("button", null, "open");
  open.type = "button";
  open.setAttribute("aria-expanded", "false");
  if (row[at.picture]) {
    const image = element("img");
    image.src = row[at.picture];
    image.alt = "";
    const frame = element("span", null, "picture");
    frame.append(image);
    open.append(frame);
  }
  const name = element("span");
  const hash = row[at.sha256] === null ? "" : `SHA-256 ${row[at.sha256]}; afterwards ${hashes(row)}`;
  name.append(nameInPieces(path.slice(cut)), " ", element("span", path.slice(0, cut), "folder"), element("span", hash, "hash folder printed"));
  open.append(name);
  line.insertCell().append(open);
  open.addEventListener("click", () => toggle(line, row, open));
}
function verdictCell(line, row) {
  const outcome = value(row, "outcome");
  const made = cell(line, "Verdict");
  const box = element("div");
  const word = element("span", null, `verdict ${outcome}`);
  word.append(shape(outcome), verdictWord(row));
  box.append(word);
  if (row[at.is_contradicted]) box.append(element("div", "‼ the file says AI", "mark"));
  if (changed(row)) box.append(element("div", "‼ file changed", "mark"));
  made.append(box);
}
function notes(row) {
  const said = value(row, "says_generated") ? [`the file says: ${row[at.provenance]}`] : [];
  return [...(row[at.error] ? [row[at.error]] : []), ...row[at.warnings], ...said];
}
function scoreCell(line, row) {
  const muted = isMuted(row), score = row[at[kind.score]], made = cell(line, "Score", "n");
  if (score === null) return;
  const reason = muted && at.reason !== undefined ? value(row, "reason") : null;
  const isMeant = reason === null || facts.by_score.includes(reason);
  made.append(element("span", !muted ? digits(score) : isMeant ? `(${digits(score)})` : "-", muted ? "muted" : ""));
  if (muted) made.title = isMeant ? "recorded, but it decides nothing" : "recorded, but it means nothing: the model cannot judge such an image";
}
function ratioCell(line, row) {
  const made = cell(line, "Ratio"), log10 = row[at.log10_likelihood_ratio];
  if (log10 === null || isMuted(row)) return;
  const box = element("div");
  box.append(element("div", ratioText(log10)), element("div", value(row, "support"), "folder"));
  made.append(box);
}
function addRow(body, k) {
  const row = rows[k], line = body.insertRow();
  if (row[at.is_contradicted]) line.className = "contradicted";
  fileCell(line, row);
  verdictCell(line, row);
  for (const add of kind.cells) add(line, row);
  if (withPosterior) cell(line, `P(${facts.names.fake})`, "n").textContent = isMuted(row) ? "" : share(row[at.posterior]);
  const texts = notes(row);
  const note = cell(line, "To know");
  if (texts.length) note.append(element("div", texts.join("; "), "clip"));
}
function shown(row, name) {
  const held = value(row, name);
  if (held === null || held === "" || (Array.isArray(held) && !held.length)) return "—";
  return Array.isArray(held) ? held.join("; ") : String(held);
}
function ratioSentence(row) {
  const log10 = row[at.log10_likelihood_ratio];
  if (log10 === null) return "The scores of this model are not calibrated: there is no likelihood ratio.";
  return `Likelihood ratio ${ratioText(log10)} (${facts.sides[1]} to ${facts.sides[0]}): ${value(row, "support")} (${facts.scale})${kind.ratioNote}.`;
}
function posteriorSentences(row) {
  if (row[at.posterior] === null) return [];
  const opposite = row[at.is_improbable] ? ": the opposite of this verdict is more probable" : "";
  return [`Where ${+(100 * facts.prevalence).toPrecision(6)} % of the ${facts.noun}s are ${facts.names.fake}, the probability of ${facts.names.fake} is ${share(row[at.posterior])}${opposite}.`];
}
function trackSentences(row) {
  const such = at.such_files === undefined ? null : value(row, "such_files");
  if (!such) return [];
  const said = `Of such files ${facts.unseen}, half of them ${facts.names.fake}: ${such}.`;
  return [such.startsWith("lossless") ? `${said} ${facts.made_from_jpeg}` : said];
}
function conclusion(row) {
  const outcome = value(row, "outcome");
  if (outcome === "failed") return ["Not judged: " + shown(row, "error")];
  const inside = row[at.is_inside] ? kind.inside : kind.outside;
  if (outcome === "inconclusive") {
    const why = row[at.reasons].map(k => facts.reasons[k]).join("; ");
    return [`No verdict: ${why}. Neither score nor likelihood ratio is to be read.`, ...kind.counts(row), ...trackSentences(row), inside];
  }
  return [kind.called(row, outcome), ...kind.counts(row), ratioSentence(row), ...posteriorSentences(row), ...trackSentences(row), inside];
}
function hashes(row) {
  const after = row[at.sha256_after];
  if (after === facts.same) return "the same";
  return after === null ? shown(row, "after_note") : `CHANGED: ${after}`;
}
function list(texts) {
  const made = element("ul");
  for (const text of texts) made.append(element("li", text));
  return made;
}
function toggle(line, row, open) {
  const isOpen = open.getAttribute("aria-expanded") === "true";
  open.setAttribute("aria-expanded", String(!isOpen));
  if (isOpen) { line.nextElementSibling.remove(); return; }
  const detail = element("tr", null, "detail"), box = detail.insertCell();
  box.colSpan = 3 + kind.cells.length + withPosterior;
  if (row[at.is_contradicted]) box.append(element("div", "‼ Called real, but the file itself says that AI made or edited it", "mark"));
  box.append(element("h3", "Result"), list(conclusion(row)));
  line.after(detail);
  kind.more(box, row);
  if (row[at.warnings].length) box.append(element("h3", "Warnings"), list(row[at.warnings]));
  box.append(element("h3", "What the file says of its origin"), list([row[at.provenance] === null ? "not looked for, or not read" : row[at.provenance] || "nothing that this program knows"]));
  box.append(element("h3", "Record"));
  const record = element("dl");
  for (const name of facts.columns.slice(0, facts.n_of_record)) {
    if (name === "warnings" || name === "provenance") continue;
    record.append(element("dt", name === "mtime_ns" ? "modified" : name), element("dd", shown(row, name), name.includes("sha256") ? "hash" : ""));
    if (name === "sha256") record.append(element("dt", "sha256 after the scan"), element("dd", hashes(row), "hash"));
  }
  box.append(record);
}

function render() {
  const body = byId("table").tBodies[0];
  const n = Math.max(1, Math.ceil(found.length / state.perPage));
  state.page = Math.min(Math.max(0, state.page), n - 1);
  const start = state.page * state.perPage, end = Math.min(found.length, start + state.perPage);
  body.replaceChildren();
  for (const k of found.slice(start, end)) addRow(body, k);
  const count = number => number.toLocaleString("en");
  byId("status").textContent = found.length ? `${facts.noun === "image" ? "Images" : "Videos"} ${count(start + 1)} to ${count(end)} of ${count(found.length)}${found.length < rows.length ? ` that match, of ${count(rows.length)} in all` : ""}` : `No ${facts.noun} matches, of ${count(rows.length)} in all`;
  byId("page").textContent = `page ${count(state.page + 1)} of ${count(n)}`;
  byId("pages").hidden = n < 2;
  for (const button of byId("pages").querySelectorAll("button")) {
    button.disabled = ["first", "previous"].includes(button.dataset.go) ? state.page === 0 : state.page === n - 1;
  }
  for (const head of byId("table").querySelectorAll("th[data-sort]")) {
    if (head.dataset.sort === state.sort) head.setAttribute("aria-sort", state.falling ? "descending" : "ascending");
    else head.removeAttribute("aria-sort");
  }
  byId("sort").value = state.sort;
  byId("descending").checked = state.falling;
}

function start() {
let waiting = null;
byId("search").addEventListener("input", event => {
  clearTimeout(waiting);
  waiting = setTimeout(() => { state.text = event.target.value; choose(); }, 120);
});
byId("filters").addEventListener("submit", event => event.preventDefault());
for (const box of document.getElementsByName("outcome")) {
  box.addEventListener("change", () => { if (box.checked) state.outcomes.add(box.value); else state.outcomes.delete(box.value); choose(); });
}
byId("only").addEventListener("change", event => { state.only = event.target.value; choose(); });
byId("sort").addEventListener("change", event => { state.sort = event.target.value; choose(); });
byId("descending").addEventListener("change", event => { state.falling = event.target.checked; choose(); });
for (const head of byId("table").querySelectorAll("th[data-sort]")) {
  head.querySelector("button").addEventListener("click", () => {
    state.falling = state.sort === head.dataset.sort ? !state.falling : kind.fallsFirst.includes(head.dataset.sort);
    state.sort = head.dataset.sort;
    choose();
  });
}
byId("pages").addEventListener("click", event => {
  const go = event.target.dataset.go;
  if (!go) return;
  const last = Math.ceil(found.length / state.perPage) - 1;
  state.page = {first: 0, previous: state.page - 1, next: state.page + 1, last}[go];
  render();
  byId("files").scrollIntoView();
});

let opened = [];
addEventListener("beforeprint", () => {
  opened = [...document.querySelectorAll("details:not([open])")];
  for (const details of opened) details.open = true;
  if (found.length <= state.perPage) return;
  state.page = 0;
  state.perPage = PRINTED_ROWS;
  render();
});
addEventListener("afterprint", () => {
  for (const details of opened) details.open = false;
  if (state.perPage === PAGE_ROWS) return;
  state.perPage = PAGE_ROWS;
  render();
});

byId("table").classList.toggle("with-posterior", withPosterior);
byId("table").classList.add(`${facts.noun}s`);
byId("filters").hidden = false;
byId("table").hidden = false;
choose();
}
