// Asks an agent many questions and shows what each came to:
//   npm run evaluate:search -- [--questions FILE] [--corpus FOLDER] [--wrong]
import { mkdtempSync, chmodSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openPool, poolLimits } from '../src/db.ts';
import { ensureDatabase, startEmbeddedPostgres } from '../src/postgres/embedded.ts';
import { migrate } from '../src/postgres/migrate.ts';
import { Asked, isRight, type Outcome, questionList } from './evaluate/asked.ts';

const root = join(import.meta.dirname, '..');
const { values } = parseArgs({
  options: {
    questions: { type: 'string', default: join(root, 'test', 'fixtures', 'training', 'parley-questions.json') },
    corpus: { type: 'string', default: join(root, 'corpus') },
    wrong: { type: 'boolean', default: false },
  },
});

const questions = questionList.parse(JSON.parse(readFileSync(values.questions, 'utf8')));
const dataDir = mkdtempSync(join(tmpdir(), 'parley-evaluate-'));
// For root, whose PostgreSQL runs as another user.
chmodSync(dataDir, 0o755);
const server = await startEmbeddedPostgres({ dataDir, durable: false });
try {
  const url = server.url('evaluate');
  await ensureDatabase(url);
  await migrate(url, join(root, 'prisma', 'migrations'));
  const pool = openPool(url, poolLimits.patient, () => undefined);
  try {
    const agent = await Asked.open(pool, values.corpus);
    const outcomes: Outcome[] = [];
    for (const question of questions) outcomes.push(await agent.ask(question));
    for (const outcome of outcomes) if (!values.wrong || isRight(outcome) !== true) console.log(show(outcome, agent));
    console.log(summaryOf(outcomes));
  } finally {
    await pool.end();
  }
} finally {
  await server.stop();
  rmSync(dataDir, { recursive: true, force: true });
}

function show(outcome: Outcome, agent: Asked): string {
  const { asked, came, article, text, found } = outcome;
  const mark = { true: 'right', false: 'WRONG', null: '?' }[String(isRight(outcome))] ?? '?';
  const ranked = [...found.passages, ...found.near]
    .map((passage) => `${agent.slugOf(passage)} ${passage.score.toFixed(2)}`)
    .join(', ');
  const expected = asked.articles ? `\n       expected: ${asked.articles.join(' or ')}` : '';
  return (
    `${mark.padEnd(6)} ${asked.kind}: ${asked.question}\n       ${came}${article === null ? '' : ` from ${article}`}` +
    `${ranked && `\n       ranked: ${ranked}`}${expected}\n       ${text.replace(/\s+/g, ' ').slice(0, 300)}\n`
  );
}

function summaryOf(outcomes: readonly Outcome[]): string {
  const lines = (['answer', 'foreign', 'human'] as const).map((kind) => {
    const of = outcomes.filter(({ asked }) => asked.kind === kind);
    const right = of.filter((outcome) => isRight(outcome) === true).length;
    const unjudged = of.filter((outcome) => isRight(outcome) === null).length;
    return `${kind}: ${of.length} asked, ${right} right${unjudged > 0 ? `, ${unjudged} answered and not judged` : ''}`;
  });
  return lines.join('\n');
}
