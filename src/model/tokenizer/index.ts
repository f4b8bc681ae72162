export { type TokenizeOptions, tokenize } from './tokenize';
export { END_OF_TEXT, START_OF_TEXT } from './vocabulary';
