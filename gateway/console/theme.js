/** How the settings look: attributes and properties of the document, by which the style sheets go. */

import { remember } from "./storage.js"

export function applyTheme(settings) {
	const value = (path, otherwise) => settings.value(path.split("."), otherwise)
	const theme = {
		data: {
			accent: value("theme.accent", "amber"),
			density: value("theme.density", "comfortable"),
			motion: value("accessibility.reducedMotion", false) ? "reduced" : "full",
			focus: value("accessibility.highContrastFocus", true) ? "strong" : "plain",
			announce: value("accessibility.announceStatusChanges", true) ? "on" : "off",
		},
		style: { "--grain": value("theme.grain", 0.35), "--contrast": value("theme.contrast", 1) },
	}
	const root = document.documentElement
	Object.assign(root.dataset, theme.data)
	for (const [name, each] of Object.entries(theme.style)) root.style.setProperty(name, each)
	remember("theme", theme)
}
