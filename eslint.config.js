import { join, posix, relative, sep } from 'node:path';
import graphql from '@graphql-eslint/eslint-plugin';
import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

const domains =
  '(access|agents|attachments|contacts|conversations|email|generation|inboxes|jobs|knowledge|operators|records|webhooks|erasure)';

/** Inside conversations/, imports go down this list as well; what no pattern takes is the lowest one. */
const conversationLayers = [
  { name: 'schema', files: /^conversations\/schema(\.ts$|\/)/ },
  { name: 'commands', files: /^conversations\/commands\// },
  { name: 'services', files: /^conversations\/services\.ts$/ },
  { name: 'lists', files: /^conversations\/lists\// },
  { name: 'stream', files: /^conversations\/stream\// },
  { name: 'log', files: /^conversations\/log\// },
  { name: 'model', files: /^conversations\// },
];

/** Imports go down or stay on their layer; what no pattern takes is the lowest one. Paths are relative to src/. */
const layers = [
  { name: 'main', files: /^main\.ts$/ },
  { name: 'app', files: /^(app|shutdown-steps)\.ts$/ },
  { name: 'server', files: /^server(\.ts$|\/)/ },
  { name: 'graphql', files: /^graphql\// },
  { name: 'schema', files: new RegExp(`^${domains}/schema(\\.ts$|/)`) },
  { name: 'domain', files: new RegExp(`^${domains}/`) },
  { name: 'base', files: /^/ },
];

/** Further imports that are not allowed: from files of src/, to a file there or a package. */
const barred = [
  {
    from: /^(?!graphql\/|[^/]+\/schema(\.ts$|\/))/,
    to: /^package:@pothos\//,
    because: 'only graphql/ and schema.ts know Pothos',
  },
  {
    from: /^(?!graphql\/|server(\.ts$|\/))/,
    to: /^package:@?graphql-yoga(\/|$)/,
    because: 'only server.ts and graphql/ know Yoga',
  },
  {
    from: /^(?!app\.ts$|bus\/choose\.ts$)/,
    to: /^bus\/(choose|in-process|postgres|redis)\.ts$/,
    because: 'only app.ts constructs the event bus',
  },
  { from: /^agents\//, to: /^(conversations|generation)\//, because: 'agents know nothing of conversations' },
  {
    from: /^conversations\/(?!schema(\.ts$|\/))/,
    to: /^agents\//,
    because: 'generation/runner.ts alone joins conversations and agents',
  },
  {
    from: /^generation\/(?!runner\.ts$|schema(\.ts$|\/))/,
    to: /^agents\//,
    exceptTypesOf: /^agents\/(runtime|turn)\.ts$/,
    because: 'generation/runner.ts alone joins conversations and agents',
  },
  {
    from: /^access\//,
    to: /^(conversations|generation|contacts|inboxes|operators)\//,
    because: 'access/ decides for every domain and knows none of them',
  },
];

const layerOf = (all, file) => all.findIndex(({ files }) => files.test(file));

/** Why `file` may not import `target`; undefined when it may. */
function objection(file, target, isType) {
  // Outside src/.
  if (target.startsWith('../')) return 'src/ stands alone';
  const own = layerOf(layers, file);
  const other = layerOf(layers, target);
  const needsBuilder = layers[own].name === 'schema' && layers[other].name === 'graphql';
  if (other < own && !needsBuilder && !target.startsWith('package:')) {
    return `imports go ${layers.map(({ name }) => name).join(' → ')}`;
  }
  if (file.startsWith('conversations/') && target.startsWith('conversations/')) {
    const [from, to] = [layerOf(conversationLayers, file), layerOf(conversationLayers, target)];
    const beside = conversationLayers[from].name === 'lists' && conversationLayers[to].name === 'stream';
    if (to < from || beside)
      return `in conversations/, imports go ${conversationLayers.map(({ name }) => name).join(' → ')}`;
  }
  return barred.find(
    ({ from, to, exceptTypesOf }) =>
      from.test(file) && to.test(target) && !(isType && (exceptTypesOf?.test(target) ?? false)),
  )?.because;
}

const importDirection = {
  meta: {
    type: 'problem',
    docs: { description: 'Keeps imports going one way.' },
    messages: { against: '{{file}} must not import {{target}}: {{because}}.' },
    schema: [],
  },
  create(context) {
    const file = relative(join(import.meta.dirname, 'src'), context.filename)
      .split(sep)
      .join('/');
    const check = (node, isType) => {
      const specifier = node.source?.value;
      if (typeof specifier !== 'string') return;
      const target = specifier.startsWith('.')
        ? posix.relative('src', posix.join('src', posix.dirname(file), specifier))
        : `package:${specifier}`;
      const because = objection(file, target, isType);
      if (because) context.report({ node, messageId: 'against', data: { file, target, because } });
    };
    const allTypes = (specifiers, kind) => specifiers.length > 0 && specifiers.every((each) => each[kind] === 'type');
    return {
      ImportDeclaration: (node) => check(node, node.importKind === 'type' || allTypes(node.specifiers, 'importKind')),
      ExportNamedDeclaration: (node) =>
        check(node, node.exportKind === 'type' || allTypes(node.specifiers, 'exportKind')),
      ExportAllDeclaration: (node) => check(node, node.exportKind === 'type'),
      ImportExpression: (node) => check(node, false),
      TSImportType: (node) => check(node, true),
    };
  },
};

/** GraphQL types that are values, pages, events, results or failures: they have no identity of their own. */
const valueTypes = [
  'AgentRuntime',
  'AttendedHours',
  'Author',
  'Canvas',
  'Citation',
  'ConversationChange',
  'ConversationState',
  'DeliveryAttempt',
  'ErasureOutcome',
  'Feedback',
  'FeedbackGiven',
  'FragmentDelta',
  'HttpTool',
  'InputIssue',
  'KnowledgePassage',
  'OrganizationEvent',
  'PageInfo',
  'Participant',
  'Playbook',
  'PlaybookPhase',
  'Presence',
  'QuestionRecord',
  'Retention',
  'TokenUsage',
  'Viewer',
];
const valueSuffixes = [
  ...['Connection', 'Edge', 'Error', 'Payload'],
  ...['Accepted', 'Actor', 'Changed', 'Completed', 'Created', 'Deleted', 'Ended', 'Erased', 'Started', 'Updated'],
];

export default defineConfig(
  { ignores: ['dist/', 'coverage/', '.data/', 'src/generated/'] },
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  {
    files: ['{src,client,test,scripts,bench,examples}/**/*.ts', '*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      eqeqeq: ['error', 'always', { null: 'ignore' }],
      'object-shorthand': 'error',
      'prefer-const': 'error',
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/no-confusing-void-expression': 'off',
      '@typescript-eslint/no-unnecessary-condition': ['error', { allowConstantLoopConditions: true }],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
    },
  },
  {
    files: ['src/**/*.ts'],
    plugins: { parley: { rules: { 'import-direction': importDirection } } },
    rules: { 'parley/import-direction': 'error' },
  },
  {
    // What a frontend imports stands alone.
    files: ['client/**/*.ts'],
    rules: { 'no-restricted-imports': ['error', { patterns: ['**/../*'] }] },
  },
  {
    // expect.any() and its like are of type any.
    files: ['test/**/*.ts'],
    rules: { '@typescript-eslint/no-unsafe-assignment': 'off' },
  },
  {
    files: ['schema.graphql'],
    plugins: { '@graphql-eslint': graphql },
    languageOptions: {
      parser: graphql.parser,
      parserOptions: { graphQLConfig: { schema: join(import.meta.dirname, 'schema.graphql') } },
    },
    rules: {
      ...graphql.configs['flat/schema-recommended'].rules,
      ...graphql.configs['flat/schema-relay'].rules,
      // An entry of a log has a place and no id.
      '@graphql-eslint/relay-edge-types': ['error', { listTypeCanWrapOnlyEdgeType: false, shouldImplementNode: false }],
      '@graphql-eslint/strict-id-in-types': [
        'error',
        {
          acceptedIdNames: ['id'],
          acceptedIdTypes: ['ID'],
          exceptions: { types: valueTypes, suffixes: valueSuffixes },
        },
      ],
    },
  },
);
