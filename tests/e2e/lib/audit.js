// What a page owes to people who do not see it, or not well (WCAG 2.2 AA, as far as a
// program can tell): names, labels, landmarks, contrast, sizes.  Runs in the page.

export function audit() {
	const found = [];
	const say = (what, node) => found.push(node ? `${what}: ${node.outerHTML.slice(0, 140)}` : what);
	const isSeen = (node) => node.checkVisibility({ opacityProperty: true, visibilityProperty: true, contentVisibilityAuto: true });
	const dialog = document.querySelector('dialog[open]');
	const root = dialog ?? document.body;

	// --- the document ---
	if (!document.documentElement.lang)
		say('no language');
	if (!document.title)
		say('no title');
	const ids = [...document.querySelectorAll('[id]')].map((n) => n.id);
	for (const id of new Set(ids.filter((id, i) => ids.indexOf(id) !== i)))
		say(`id ${id} twice`);
	if ([...root.querySelectorAll('h1')].filter(isSeen).length !== 1)
		say('not one h1');
	if (document.querySelectorAll('main').length !== 1)
		say('not one main');
	for (const node of document.querySelectorAll('nav, aside, [role="log"], [role="group"], dialog'))
		if (!node.getAttribute('aria-label') && !document.getElementById(node.getAttribute('aria-labelledby')) && (node.localName !== 'dialog' || node.open))
			say('a region without a name', node);
	for (const node of document.querySelectorAll('ul, ol'))
		for (const child of node.children)
			if (child.localName !== 'li')
				say('not a list item', child);
	for (const node of document.querySelectorAll('[aria-controls], [aria-describedby]'))
		for (const id of `${node.getAttribute('aria-controls') ?? ''} ${node.getAttribute('aria-describedby') ?? ''}`.trim().split(/\s+/))
			if (!document.getElementById(id))
				say(`refers to no ${id}`, node);

	// --- names and sizes of what can be operated ---
	const textOf = (node) => [...node.childNodes].map((n) => (n.nodeType === 3 ? n.textContent
		: n.nodeType !== 1 || n.getAttribute('aria-hidden') === 'true' || n.hidden ? '' : n.localName === 'img' ? n.alt : textOf(n))).join('');
	const nameOf = (node) => {
		const labels = [...node.labels ?? []].map(textOf).join(' ');
		const own = ['input', 'select', 'textarea'].includes(node.localName) ? '' : textOf(node);
		return (node.getAttribute('aria-label') ?? (labels || own)).trim();
	};
	for (const node of root.querySelectorAll('a[href], button, input:not([type="hidden"]), select, textarea')) {
		if (!isSeen(node) && node.localName !== 'input')
			continue;
		if (!nameOf(node))
			say('no name', node);
		const box = (node.labels?.[0] ?? node).getBoundingClientRect();
		const isInText = node.localName === 'a' && getComputedStyle(node).display === 'inline';
		if (!isInText && box.width > 0 && (box.width < 24 || box.height < 24))
			say(`only ${box.width} by ${box.height}`, node);
	}
	for (const node of root.querySelectorAll('img:not([alt])'))
		say('no alt', node);

	// --- contrast ---
	const canvas = Object.assign(document.createElement('canvas'), { width: 1, height: 1 }).getContext('2d', { willReadFrequently: true });
	const rgba = (colour) => {
		canvas.clearRect(0, 0, 1, 1);
		canvas.fillStyle = colour;
		canvas.fillRect(0, 0, 1, 1);
		const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
		return [r, g, b, a / 255];
	};
	const over = ([r, g, b, a], under) => [r, g, b].map((c, i) => c * a + under[i] * (1 - a));
	const groundOf = (node) => {
		const layers = [];
		for (let n = node; n; n = n.parentElement)
			layers.unshift(rgba(getComputedStyle(n).backgroundColor));
		return layers.reduce((ground, layer) => over(layer, ground), [255, 255, 255]);
	};
	const light = (c) => c.map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
		.reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
	const ratioOf = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
	let checked = 0;
	const check = (node, colour, least) => {
		const ground = groundOf(node), ratio = ratioOf(over(rgba(colour), ground), ground);
		checked += 1;
		if (ratio < least)
			say(`contrast ${ratio.toFixed(2)} of ${colour}`, node);
	};
	const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
	for (let text; (text = walker.nextNode());) {
		const node = text.parentElement;
		if (!text.textContent.trim() || ['script', 'style', 'noscript', 'option'].includes(node.localName) || !isSeen(node) ||
			node.closest('[aria-hidden="true"]:not(.badge *)'))
			continue;
		const style = getComputedStyle(node), size = parseFloat(style.fontSize);
		check(node, style.color, size >= 24 || (size >= 18.66 && style.fontWeight >= 700) ? 3 : 4.5);
	}
	// Avatars' letters; what has to be made out of fields and of the state of things.
	for (const node of root.querySelectorAll('[data-list="online"] .avatar, .msg .avatar'))
		check(node, getComputedStyle(node).color, 4.5);
	for (const node of root.querySelectorAll('input:not([type="hidden"], [type="checkbox"], [type="radio"]), .composer, textarea:not(.composer *)'))
		if (isSeen(node))
			check(node.parentElement, getComputedStyle(node).borderTopColor, 3);
	for (const node of root.querySelectorAll('.dot, .knob'))
		check(node.parentElement, getComputedStyle(node).backgroundColor, 3);
	for (const node of root.querySelectorAll('textarea[placeholder]'))
		check(node, getComputedStyle(node, '::placeholder').color, 4.5);
	return { found, checked };
}
