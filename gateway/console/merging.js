/** Settings as values, and merge patches of them (RFC 7396). Pure. */

export function isObject(value) {
	return typeof value === "object" && value !== null && !Array.isArray(value)
}

/** `target` with `patch` applied; neither is changed. */
export function merged(target, patch) {
	if (!isObject(patch)) return patch
	const result = new Map(Object.entries(isObject(target) ? target : {}))
	for (const [key, value] of Object.entries(patch)) {
		if (value === null) result.delete(key)
		else result.set(key, merged(result.get(key), value))
	}
	return Object.fromEntries(result)
}

/** Two patches as one. Unlike in `merged`, a null stays one. */
export function combined(first, second) {
	if (!isObject(first) || !isObject(second)) return second
	const both = Object.entries(second).map(([key, value]) => [key, combined(valueAt(first, [key]), value)])
	return Object.fromEntries([...Object.entries(first), ...both])
}

export function valueAt(settings, path) {
	return path.reduce((value, key) => (isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined), settings)
}

export function patchOf(path, value) {
	return path.reduceRight((inner, key) => ({ [key]: inner }), value)
}

function places(patch, path = []) {
	if (!isObject(patch)) return [path]
	return Object.entries(patch).flatMap(([key, value]) => places(value, [...path, key]))
}

export function same(one, other) {
	if (isObject(one) && isObject(other)) {
		const keys = new Set([...Object.keys(one), ...Object.keys(other)])
		return [...keys].every((key) => same(valueAt(one, [key]), valueAt(other, [key])))
	}
	if (Array.isArray(one) && Array.isArray(other)) {
		return one.length === other.length && one.every((each, index) => same(each, other[index]))
	}
	return one === other
}

/** Whether two settings differ in a place that the patch sets. */
export function touches(patch, one, other) {
	return places(patch).some((path) => !same(valueAt(one, path), valueAt(other, path)))
}

/** The keys of a JSON Pointer (RFC 6901). */
export function pathOf(pointer) {
	return pointer.split("/").slice(1).map((key) => key.replaceAll("~1", "/").replaceAll("~0", "~"))
}
