// As much of Node's assertions as the cases want, where there is no Node.

export function fail(words) {
  throw new Error(`assertion failed: ${words}`);
}

export function ok(value, words = 'it is not so') {
  if (!value) fail(words);
}

const shown = (value) => JSON.stringify(value, (_, part) => (typeof part === 'bigint' ? `${part}n` : part));

export function equal(found, expected, words = '') {
  if (!Object.is(found, expected)) fail(`${words} ${shown(found)} is not ${shown(expected)}`);
}

export function deepEqual(found, expected) {
  equal(shown(found), shown(expected));
}

export function match(text, pattern) {
  if (!pattern.test(text)) fail(`${shown(text)} does not match ${pattern}`);
}

/** The call throws what the pattern, or the function, says. */
export function throws(call, what = () => true, words = 'what was thrown is something else') {
  let thrown;
  try {
    call();
  } catch (error) {
    thrown = { error };
  }
  if (!thrown) fail(`nothing was thrown: ${words}`);
  const fits = what instanceof RegExp ? what.test(String(thrown.error)) : what(thrown.error);
  if (!fits) fail(`${words}: ${thrown.error?.code} ${thrown.error}`);
}
