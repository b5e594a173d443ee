/** How the settings look: attributes and properties of the document, by which the style sheets go. */

import { remember } from "./storage.js"

export function applyTheme(settings) {
	const theme = {
		data: {
			accent: settings.value("theme.accent"),
			density: settings.value("theme.density"),
			motion: settings.value("accessibility.reducedMotion") ? "reduced" : "full",
			focus: settings.value("accessibility.highContrastFocus") ? "strong" : "plain",
			announce: settings.value("accessibility.announceStatusChanges") ? "on" : "off",
		},
		style: { "--grain": settings.value("theme.grain"), "--contrast": settings.value("theme.contrast") },
	}
	const root = document.documentElement
	Object.assign(root.dataset, theme.data)
	for (const [name, each] of Object.entries(theme.style)) root.style.setProperty(name, each)
	remember("theme", theme)
}
