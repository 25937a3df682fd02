// Numbers that a seed repeats (mulberry32).

// A function that gives whole numbers from 0 to n - 1.
export function dice(seed) {
	let a = seed | 0;
	return (n) => {
		a = (a + 0x6d2b79f5) | 0;
		let x = Math.imul(a ^ (a >>> 15), 1 | a);
		x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x;
		return ((x ^ (x >>> 14)) >>> 0) % n;
	};
}

export const oneOf = (roll, list) => list[roll(list.length)];
