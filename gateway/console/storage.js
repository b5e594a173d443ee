/** What this browser keeps between two visits, as JSON under names of the console's own. A browser may refuse to. */

const PREFIX = "animatize.console."
const instead = new Map() // for as long as the page is open, where the browser keeps nothing

export function remembered(name) {
  try {
    return parsed(localStorage.getItem(PREFIX + name)) ?? instead.get(name) ?? null
  } catch {
    return instead.get(name) ?? null
  }
}

/** Null forgets. Returns whether it will be there after a reload. */
export function remember(name, value) {
  try {
    if (value === null) localStorage.removeItem(PREFIX + name)
    else localStorage.setItem(PREFIX + name, JSON.stringify(value))
    instead.delete(name)
    return true
  } catch {
    instead.set(name, value)
    return false
  }
}

/** Calls back with the value when another tab of this browser changes it. */
export function onRemembered(name, listener) {
  addEventListener("storage", (event) => {
    if (event.key === PREFIX + name || event.key === null) listener(remembered(name))
  })
}

function parsed(text) {
  try {
    return text === null ? null : JSON.parse(text)
  } catch {
    return null // somebody else's hand: as good as absent
  }
}
