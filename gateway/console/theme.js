/** How the settings look: attributes and properties of the document, by which the style sheets go. */

import { remember } from "./storage.js"

const ACCENTS = ["amber", "teal", "crimson"]

function within(value, least, most, otherwise) {
	return typeof value === "number" ? Math.min(most, Math.max(least, value)) : otherwise
}

export function applyTheme(settings) {
	const value = (path, otherwise) => settings.value(path.split("."), otherwise)
	const accent = value("theme.accent", "amber")
	const theme = {
		data: {
			accent: ACCENTS.includes(accent) ? accent : "amber",
			density: value("theme.density", "comfortable") === "compact" ? "compact" : "comfortable",
			motion: value("accessibility.reducedMotion", false) ? "reduced" : "full",
			focus: value("accessibility.highContrastFocus", true) ? "strong" : "plain",
			announce: value("accessibility.announceStatusChanges", true) ? "on" : "off",
		},
		style: {
			"--grain": within(value("theme.grain"), 0, 1, 0.35),
			"--contrast": within(value("theme.contrast"), 0.9, 1.2, 1),
		},
	}
	const root = document.documentElement
	Object.assign(root.dataset, theme.data)
	for (const [name, each] of Object.entries(theme.style)) root.style.setProperty(name, each)
	remember("theme", theme)
}
