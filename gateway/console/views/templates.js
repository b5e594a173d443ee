/** Copies of what stands in the page as <template>. */

/** `element`, and each part of it that bears a name under that name. */
export function copyOf(id) {
	const element = document.importNode(document.getElementById(id).content.firstElementChild, true)
	const parts = [...element.querySelectorAll("[data-part]")].map((part) => [part.dataset.part, part])
	return { element, ...Object.fromEntries(parts) }
}
