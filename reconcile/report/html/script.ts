/** The script of the page: the source text of the functions that run there, and the words that they share with the engine. */
import { browserFunctions } from './browser.ts';
import { drawFunctions, grid } from './draw.ts';
import { cableWords, facetWords, jackWords } from './model.ts';

/** What the functions may use beside each other. */
const shared = { cableWords, facetWords, jackWords, grid };

/** The same text in every page of one build. */
export function pageScript(): string {
  const words = Object.entries(shared).map(([name, value]) => `const ${name} = ${JSON.stringify(value)};`);
  const functions = [...drawFunctions, ...browserFunctions].map(String);
  return `'use strict';\n(() => {\n${[...words, ...functions].join('\n')}\nstartPage();\n})();`;
}
