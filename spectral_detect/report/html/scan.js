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
    const score = row[at.score], zone = zoneOf(row);
    const end = zone && zone[outcome === "fake" ? 1 : 0];
    if (zone && (outcome === "fake" ? score >= end : score <= end)) {
      return `Called ${facts.names[outcome]}: the score ${digits(score)} is ${outcome === "fake" ? "not below" : "not above"} ${digits(end)}; scores between ${digits(zone[0])} and ${digits(zone[1])} are inconclusive.`;
    }
    const sign = outcome === "fake" ? "at or above" : "below";
    return `Called ${facts.names[outcome]}: the score ${digits(score)} is ${sign} the threshold ${digits(value(row, "threshold"))}.`;
  },
  counts: () => [],
  more() {},
};
