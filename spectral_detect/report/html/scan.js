// what rows about images have of their own, see kind in table.js
const kind = {
  score: "score",
  cells: [scoreCell, ratioCell],
  apart: ["score", "log10_likelihood_ratio"],
  fallsFirst: ["score"],
  ratioNote: "",
  inside: "It lies inside the conditions under which the model was validated.",
  outside: "It lies outside the conditions under which the model was validated, see the warnings.",
  called(row, outcome) {
    const sign = outcome === "fake" ? "at or above" : "below";
    return `Called ${facts.names[outcome]}: the score ${digits(row[at.score])} is ${sign} the threshold ${digits(value(row, "threshold"))}.`;
  },
  counts: () => [],
  more() {},
};
