// Sums the JSON reports of vitest in a folder into one line: "N passed, N failed[, N skipped]". A failed step that left no
// failed test (a type error, a crash) counts as one failure. Usage: node summary.mjs FOLDER [FAILED-STEP]
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const [folder, failedStep] = process.argv.slice(2);
let passed = 0;
let failed = 0;
let skipped = 0;
for (const name of readdirSync(folder)) {
  const report = JSON.parse(readFileSync(join(folder, name), 'utf8'));
  passed += report.numPassedTests;
  failed += report.numFailedTests;
  skipped += report.numPendingTests + report.numTodoTests;
  // A file that does not even load has no tests to fail.
  failed += report.testResults.filter((f) => f.status === 'failed' && f.assertionResults.length === 0).length;
}
if (failedStep && failed === 0) failed = 1;
console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
process.exitCode = failed > 0 ? 1 : 0;
