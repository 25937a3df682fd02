// index.d.ts and sidewire.js name the same things.

import test from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import * as library from '../sidewire.js';
import { surroundings } from '../env.js';

const text = fs.readFileSync(new URL('../index.d.ts', import.meta.url), 'utf8');
const block = (head) => new RegExp(`${head} \\{\\n([^]*?)\\n\\}`).exec(text)[1];
const members = (head) => [...new Set([...block(head).matchAll(/^\t(?:readonly |get )?(\w+)[?(:]/gm)].map((m) => m[1]))].sort();

test('exports', () => {
	const declared = [...text.matchAll(/^export declare (?:function|class) (\w+)/gm)].map((m) => m[1]);
	assert.deepEqual(declared.sort(), Object.keys(library).sort());
});

test('members of a connection', () => {
	const env = { clock: { setTimeout() {} }, location: { origin: 'https://site.example' } };
	const live = library.connect({ token: 'a.b.c', env });
	const names = Object.getOwnPropertyNames(Object.getPrototypeOf(live)).filter((n) => n !== 'constructor');
	assert.deepEqual(members('export interface Connection'), names.sort());
});

test('options, surroundings, errors', () => {
	const source = fs.readFileSync(new URL('../sidewire.js', import.meta.url), 'utf8');
	const options = /constructor\(\{ (.*) \}\)/.exec(source)[1].split(', ').map((o) => o.split(' ')[0]);
	assert.deepEqual(members('export interface Options'), options.sort());
	assert.deepEqual(members('export interface Env'), Object.keys(surroundings()).sort());
	const error = new library.SidewireError({});
	const declared = members('export declare class SidewireError extends Error').filter((n) => n !== 'constructor');
	declared.forEach((name) => assert.ok(name in error, name));
});
