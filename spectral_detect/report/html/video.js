// what rows about videos have of their own, see kind in table.js
const WORDS = {r: "real", f: "fake", i: "inconclusive"};

function drawn(tag, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, held] of Object.entries(attributes)) made.setAttribute(name, held);
  if (text) made.textContent = text;
  return made;
}
function counted(votes) {
  const parts = ["fake", "real", "inconclusive", "failed"].filter(name => votes[name]).map(name => `${votes[name]} ${facts.names[name]}`);
  return parts.join(", ");
}
function votesText(row) {
  const votes = row[at.votes];
  if (votes) return counted(votes);
  if (row[at.fake_fraction] === null) return "";
  const fakes = Math.round(row[at.fake_fraction] * row[at.n_judged]);
  const others = (row[at.n_faces] === null ? row[at.n_frames] : row[at.n_faces]) - row[at.n_judged];
  return counted({fake: fakes, real: row[at.n_judged] - fakes, inconclusive: row[at.n_tracks] > 1 ? 0 : others});
}
function mark(point, x, y, r) {
  const where = {class: `dot ${WORDS[point[2]]}`};
  if (point[2] === "r") return drawn("circle", {...where, cx: x, cy: y, r});
  if (point[2] === "f") return drawn("path", {...where, d: `M${x} ${y - 1.2 * r}l${1.25 * r} ${2.2 * r}h${-2.5 * r}Z`});
  return drawn("path", {...where, d: `M${x} ${y - 1.2 * r}l${1.2 * r} ${1.2 * r}l${-1.2 * r} ${1.2 * r}l${-1.2 * r} ${-1.2 * r}Z`});
}
function span(points) {
  let first = Infinity, last = -Infinity;
  for (const point of points) { first = Math.min(first, point[0]); last = Math.max(last, point[0]); }
  return last > first ? [first, last] : [first - .5, last + .5];
}
function chart(row, width, height, pad) {
  const {points, n_frames: n} = row[at.timeline], [first, last] = span(points);
  const X = value => +(pad.left + (value - first) / (last - first) * (width - pad.left - pad.right)).toFixed(1);
  const Y = score => +(pad.top + (1 - score) * (height - pad.top - pad.bottom)).toFixed(1);
  const svg = drawn("svg", {viewBox: `0 0 ${width} ${height}`, width, height, class: "timeline", role: "img"});
  svg.setAttribute("aria-label", `Scores of ${n} frames: ${votesText(row)}`);
  const right = width - pad.right, zone = zoneOf(row), threshold = value(row, "threshold");
  if (zone) svg.append(drawn("rect", {class: "zone", x: pad.left, y: Y(zone[1]), width: right - pad.left, height: Y(zone[0]) - Y(zone[1])}));
  svg.append(drawn("path", {class: "frame", d: `M${pad.left} ${Y(1)}H${right}M${pad.left} ${Y(0)}H${right}`}));
  if (threshold !== null && !zone) svg.append(drawn("path", {class: "threshold", d: `M${pad.left} ${Y(threshold)}H${right}`}));
  for (const track of new Set(points.map(point => point[3]))) {
    const line = points.filter(point => point[3] === track).map(point => `${X(point[0])} ${Y(point[1])}`);
    svg.append(drawn("path", {class: "line", d: `M${line.join("L")}`}));
  }
  return {svg, X, Y, right};
}
function spark(row) {
  const {points} = row[at.timeline];
  const {svg, X, Y} = chart(row, 170, 40, {left: 4, right: 4, top: 4, bottom: 4});
  for (const point of points) svg.append(mark(point, X(point[0]), Y(point[1]), points.length > 60 ? 1.5 : 2.4));
  return svg;
}
function unit(number, hasTimes) {
  if (!hasTimes) return `frame ${Math.round(number)}`;
  return number < 100 ? `${+number.toFixed(2)} s` : `${Math.floor(number / 60)}:${(number % 60).toFixed(0).padStart(2, "0")} min`;
}
function large(row, width) {
  const {points, has_times: hasTimes} = row[at.timeline], height = 210;
  const {svg, X, Y, right} = chart(row, width, height, {left: 30, right: 12, top: 10, bottom: 30});
  for (const score of [0, .5, 1]) svg.append(drawn("text", {class: "tick", x: 24, y: Y(score) + 4, "text-anchor": "end"}, String(score)));
  const [first, last] = span(points), n = Math.max(1, Math.floor((width - 60) / 150));
  for (let k = 0; k <= n; k++) {
    const exact = first + k * (last - first) / n, at_ = hasTimes ? exact : Math.round(exact), anchor = k === 0 ? "start" : k === n ? "end" : "middle";
    svg.append(drawn("text", {class: "tick", x: X(at_), y: height - 8, "text-anchor": anchor}, unit(at_, hasTimes)));
  }
  const zone = zoneOf(row), threshold = value(row, "threshold");
  if (zone) svg.append(drawn("text", {class: "tick", x: right - 4, y: Y(zone[0]) - 5, "text-anchor": "end"}, `undecided: ${digits(zone[0])} to ${digits(zone[1])}`));
  if (threshold !== null && !zone) svg.append(drawn("text", {class: "tick", x: 34, y: Y(threshold) - 5}, `threshold ${digits(threshold)}`));
  const faces = new Set(points.map(point => point[3])).size;
  for (const point of points) {
    const made = mark(point, X(point[0]), Y(point[1]), points.length > 200 ? 2.2 : 4);
    const face = faces > 1 ? `, face ${point[3]}` : "", time = hasTimes ? `${point[0].toFixed(2)} s, ` : "";
    made.append(drawn("title", {}, `${time}frame ${point[4]}${face}: ${digits(point[1])}, ${facts.names[WORDS[point[2]]]}`));
    svg.append(made);
  }
  return svg;
}
function framesCell(line, row) {
  const made = cell(line, "Frames"), box = element("div");
  if (!votesText(row)) return;
  if (row[at.timeline] && row[at.timeline].points.length) box.append(spark(row));
  box.append(element("div", votesText(row), "folder"));
  made.append(box);
}
const kind = {
  score: "mean_score",
  cells: [framesCell, scoreCell, ratioCell],
  apart: ["mean_score", "log10_likelihood_ratio"],
  fallsFirst: ["mean_score", "fake_fraction"],
  ratioNote: ", the mean over the frames that the model can judge",
  inside: "None of the frames that voted was noticed to lie outside the conditions under which the model was validated.",
  outside: "Frames lie outside the conditions under which the model was validated, see the warnings.",
  called(row, outcome) {
    const by = {majority: "the majority of the frames that voted", mean: "their mean score", pooled: "their pooled likelihood ratio"}[value(row, "vote")];
    const zone = zoneOf(row);
    const rule = zone ? `frames between ${digits(zone[0])} and ${digits(zone[1])} do not vote` : `threshold ${digits(value(row, "threshold"))}`;
    return `Called ${facts.names[outcome]} by ${by}; mean score ${digits(row[at.mean_score])}, ${rule}.`;
  },
  counts(row) {
    const fraction = row[at.fake_fraction], faces = row[at.n_faces] === null ? "" : ` and ${row[at.n_faces]} faces in them`;
    const looked = `Looked at ${row[at.n_frames]} frames${faces}: ${votesText(row)}; votes that decide: ${row[at.n_judged]}.`;
    if (fraction === null) return [looked];
    const percent = share => `${Math.round(100 * share)} %`;
    return [looked, `Share of ${facts.names.fake === "fake" ? "fakes" : facts.names.fake} among the votes: ${percent(fraction)} (${percent(row[at.fake_fraction_low])} to ${percent(row[at.fake_fraction_high])}, 95 %, as if frames were independent, which they are not).`];
  },
  more(box, row) {
    const timeline = row[at.timeline];
    if (value(row, "outcome") === "failed" && !(timeline && timeline.points.length)) return;
    box.append(element("h3", "Scores of the frames"));
    if (!timeline) { box.append(element("p", "Not known: the row was kept from an earlier run.", "note")); return; }
    if (!timeline.points.length) { box.append(element("p", "No frame has a score.", "note")); return; }
    box.append(large(row, Math.max(280, Math.min(900, box.clientWidth - 34))));
    if (timeline.points.length < timeline.n_frames) box.append(element("p", `Drawn: ${timeline.points.length} of ${timeline.n_frames} frames, the lowest and the highest of each stretch.`, "note"));
    if (row[at.picture]) {
      const figure = element("figure"), image = element("img");
      image.src = row[at.picture];
      image.alt = "";
      figure.append(image, element("figcaption", `The picture is ${row[at.picture_of]}.`, "note"));
      box.append(figure);
    }
  },
};
