// Elements, and the few pieces that several parts of the page show.

const COLOURS = ['teal', 'blue', 'violet', 'pink', 'red', 'orange', 'green', 'brown', 'slate'];
const SVG = 'http://www.w3.org/2000/svg';

export const $ = (selector, root = document) => root.querySelector(selector);

// An element with attributes (false: left out; on…: a listener) and what is in it.  Text is
// text, never markup.
export function el(name, attributes = {}, ...inside) {
	const node = document.createElement(name);
	for (const [key, value] of Object.entries(attributes)) {
		if (key.startsWith('on'))
			node.addEventListener(key.slice(2), value);
		else if (value !== false && value !== undefined)
			node.setAttribute(key, value === true ? '' : value);
	}
	node.append(...inside.filter((part) => part !== null && part !== undefined && part !== false));
	return node;
}

export function icon(name) {
	const svg = document.createElementNS(SVG, 'svg'), use = document.createElementNS(SVG, 'use');
	svg.setAttribute('class', 'icon');
	svg.setAttribute('aria-hidden', 'true');
	use.setAttribute('href', `icons.svg#${name}`);
	svg.append(use);
	return svg;
}

export function avatar(name, colour) {
	const words = (name ?? '').trim().split(/\s+/);
	const letters = (Array.from(words[0])[0] ?? '?') + (words[1] ? Array.from(words[1])[0] : '');
	return el('span', { class: `avatar c-${COLOURS.includes(colour) ? colour : 'slate'}`, 'aria-hidden': 'true' }, letters);
}

// Makes the children of a parent these, touching only what differs: a live region tells
// nothing twice, focus and selection stay.
export function arrange(parent, wanted) {
	const keep = new Set(wanted);
	for (const node of [...parent.children])
		if (!keep.has(node))
			node.remove();
	let at = parent.firstElementChild;
	for (const node of wanted) {
		if (node === at)
			at = at.nextElementSibling;
		else
			parent.insertBefore(node, at);
	}
}
