/** What this browser keeps between two visits, as JSON under names of the console's own. A browser may refuse to. */

const PREFIX = "animatize.console."
const instead = new Map() // for as long as the page is open, where the browser keeps nothing

/** Null where there is nothing, or what is there is somebody else's hand. */
export function remembered(name) {
	try {
		return instead.get(name) ?? JSON.parse(localStorage.getItem(PREFIX + name))
	} catch {
		return null
	}
}

/** Null forgets. */
export function remember(name, value) {
	instead.delete(name)
	try {
		if (value === null) localStorage.removeItem(PREFIX + name)
		else localStorage.setItem(PREFIX + name, JSON.stringify(value))
	} catch {
		instead.set(name, value)
	}
}

/** Every value whose name begins so. */
export function allRemembered(beginning) {
	const names = [...kept(), ...instead.keys()].filter((name) => name.startsWith(beginning))
	return names.map(remembered).filter(Boolean)
}

/** Calls back with the value and the name when another tab of this browser changes one whose name begins so. */
export function onRemembered(beginning, listener) {
	addEventListener("storage", ({ key }) => {
		const name = key?.slice(PREFIX.length)
		if (key?.startsWith(PREFIX + beginning)) listener(remembered(name), name)
	})
}

function kept() {
	try {
		return Object.keys(localStorage).filter((key) => key.startsWith(PREFIX)).map((key) => key.slice(PREFIX.length))
	} catch {
		return []
	}
}
