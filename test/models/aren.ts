import path from 'node:path';
import { goldenRoot, hasGolden } from '../golden.js';

/** Trained weights of a small encoder-decoder and their goldens; not part of the repository, but beside it. */
const name = '../models/aren-transliteration';
export const aren = path.join(goldenRoot, name);
export const arenGolden = name;

/** Whether they are there. */
export const hasAren = hasGolden(name);
