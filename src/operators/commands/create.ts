import { ValueReader } from '../../value-reader.ts';
import { type OperatorInput, type OperatorServices, readOperator, takenEmail } from '../model.ts';

/** Creates an operator. Throws `InvalidInputError` if the organization has one with this email address. */
export async function createOperator(
  { pool, newId }: OperatorServices,
  { organizationId }: { organizationId: string },
  input: OperatorInput & { name: string },
): Promise<{ operatorId: string }> {
  const reader = new ValueReader();
  const { name, email = null, avatarUrl = null, role = 'AGENT' } = readOperator(reader, input);
  reader.finish();
  const operatorId = newId();
  const inserted = pool.query({
    name: 'insert-operator',
    text: `INSERT INTO operator (id, organization_id, name, email, avatar_url, role) VALUES ($1, $2, $3, $4, $5, $6)`,
    values: [operatorId, organizationId, name, email, avatarUrl, role],
  });
  await inserted.catch((error: unknown) => {
    throw takenEmail(error) ?? error;
  });
  return { operatorId };
}
