// What the tests of auth share: looking at answers.
import assert from 'node:assert/strict'

/** Good enough for every setting. */
export const PASSWORD = 'correct horse battery'

/** The data of an answer of auth, which has to be a success. */
export function good({ data, error }) {
  assert.equal(error, null, error && `${error.status} ${error.code} ${error.message}`)
  return data
}

/** The error of an answer, which has to be a refusal of the service with this status and code. */
export function refused({ error }, status, code) {
  assert.ok(error, 'it was not refused')
  const name = code === 'weak_password' ? 'AuthWeakPasswordError' : 'AuthApiError'
  assert.deepEqual([error.name, error.status, error.code], [name, status, code], error.message)
  return error
}
