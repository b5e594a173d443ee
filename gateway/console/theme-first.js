/* Before the first paint: the theme that this browser showed last, so that nothing flashes. theme.js keeps it. */
try {
	const theme = JSON.parse(localStorage.getItem("animatize.console.theme"))
	for (const [name, value] of Object.entries(theme.data)) document.documentElement.dataset[name] = value
	for (const [name, value] of Object.entries(theme.style)) document.documentElement.style.setProperty(name, value)
} catch {
	document.documentElement.dataset.accent = "amber" // the first visit, or a browser that keeps nothing
}
