// Waiting with a deadline: tests wait for what they expect, never for time to pass.

export const DEADLINE_MS = 20000;

// Rejects with `what` when the promise takes longer than ms.
export function within(promise, what, ms = DEADLINE_MS) {
	let timer;
	const late = new Promise((_, reject) => {
		timer = setTimeout(() => reject(new Error(`deadline: ${what}`)), ms);
	});
	return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// Calls probe until it gives something true; what it threw last is told at the deadline.
export async function until(probe, what, ms = DEADLINE_MS) {
	const end = Date.now() + ms;
	let last;
	for (;;) {
		try {
			last = await probe();
			if (last)
				return last;
		} catch (error) {
			last = error;
		}
		if (Date.now() > end)
			throw new Error(`deadline: ${what}; last: ${last?.stack || JSON.stringify(last)}`);
		await new Promise((r) => setTimeout(r, 20));
	}
}
