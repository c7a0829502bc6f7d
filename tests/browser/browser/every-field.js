// A job that asks for every kind of value that a form has a field for.

export const everyField = {
  name: 'tuned-long-running-task',
  title: 'Every kind of field',
  description: 'Shows what a form can be made of.',
  request: {
    type: 'object',
    properties: {
      count: { title: 'Count', type: 'integer', format: 'uint64', minimum: 1 },
      text: { type: 'string', minLength: 2, maxLength: 80, description: 'A few words.' },
      note: { type: ['string', 'null'], maxLength: 2_000 },
      yes: { type: 'boolean', default: false },
      speed: { type: 'string', enum: ['slow', 'usual', 'fast', 'faster'] },
      explained: { anyOf: [{ oneOf: [{ description: 'Arrives next week.', type: 'string', const: 'Slow' }, { description: 'Arrives tomorrow.', type: 'string', const: 'Fast' }] }, { type: 'null' }] },
      tags: { type: 'array', items: { type: 'string' } },
      nested: { type: 'object', properties: { a: { type: 'object' } }, description: 'Anything.' },
    },
    required: ['count', 'text', 'speed', 'tags', 'nested'],
  },
  input: { type: 'null' },
  output: {},
};
