/** What an import would do or did, and what its undo gave back, in plain words. Pure. */

const PARTS = { runs: "Runs", settings: "Parts of the settings", history: "History entries", api_keys: "Provider keys" }
const KINDS = {
  added: "new",
  changed: "replaced",
  unchanged: "already here",
  refused: "unusable",
  removed: "removed",
  undone: "as before again",
  stayed: "written since and left alone",
}

/** “Runs: 12 new, 3 replaced.”: a sentence for each part of which there is something to tell. */
export function inWords({ plan, ...others }) {
  return Object.keys(PARTS).flatMap((part) => {
    const count = (kind) => plan?.[part][kind] ?? others[kind]?.[part]
    const told = Object.keys(KINDS).filter(count).map((kind) => `${count(kind).toLocaleString("en")} ${KINDS[kind]}`)
    return told.length ? `${PARTS[part]}: ${told.join(", ")}.` : []
  })
}
