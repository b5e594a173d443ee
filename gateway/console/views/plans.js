/** What an import would do or did, and what its undo gave back, in plain words. Pure. */

import WORDS from "./plans.json" with { type: "json" }

/** “Runs: 12 new, 3 replaced.”: a sentence for each part of which there is something to tell. */
export function inWords({ plan, ...others }) {
	return Object.keys(WORDS.parts).flatMap((part) => {
		const count = (kind) => plan?.[part][kind] ?? others[kind]?.[part]
		const told = Object.keys(WORDS.kinds).filter(count).map((kind) => `${count(kind).toLocaleString("en")} ${WORDS.kinds[kind]}`)
		return told.length ? `${WORDS.parts[part]}: ${told.join(", ")}.` : []
	})
}
