/** Pieces of a run for both of its views. What was imported may have any shape. */

import { h, icon, shortened } from "../dom.js"
import { isObject } from "../merging.js"
import { statusName } from "../words.js"

export function textOf(value, otherwise = "Not set") {
	if ([undefined, null, "", "null", "undefined"].includes(value)) return otherwise
	return typeof value === "string" ? value : JSON.stringify(value)
}

export function takesOf({ variants }) {
	return Array.isArray(variants) ? variants.filter(isObject) : []
}

export function providerOf(run) {
	return textOf(run.params?.provider ?? takesOf(run).find((take) => take.provider)?.provider, "No provider")
}

export function statusMark(status) {
	const text = shortened(textOf(status, ""), 40)
	return h("span", { "data-status": text }, statusName(text))
}

export function picture(src, properties) {
	if (!src) return icon("frames")
	const image = h("img", { src, alt: "", ...properties, onerror: () => image.replaceWith(icon("frames")) })
	return image
}
