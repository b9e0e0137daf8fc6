/** What `millrace doctor` asks of MongoDB: an answer, the right to read and to write there, and a collection that can hold readings. */
import { mongoError } from "../../functions/core/mongodb-errors.ts";
import type { Settings } from "../../functions/core/settings.ts";
import { createMongoClient } from "../../functions/runtimes/node/open-mongodb.ts";
import type { Outcome } from "./examine.ts";

/** No reading is called so. */
const NOBODY = "millrace doctor: never there";

/** Changes nothing. @throws MillraceError of what the server, or nobody, answered. */
export async function askMongoDb(
  uri: string,
  { MONGODB_DATABASE, MONGO_COLLECTION: name }: Pick<Settings, "MONGODB_DATABASE" | "MONGO_COLLECTION">,
): Promise<Outcome> {
  await using client = createMongoClient(uri);
  const db = client.db(MONGODB_DATABASE);
  try {
    const [found] = await db.listCollections({ name }).toArray();
    if (found?.type !== undefined && found.type !== "collection") {
      return {
        fault: `${name} is a ${found.type}, expected a plain collection`,
        next: "name a new one in MONGO_COLLECTION",
      };
    }
    await db.collection(name).findOne({}, { projection: { _id: 1 } });
  } catch (error) {
    throw mongoError(`read MongoDB "${MONGODB_DATABASE}.${name}"`, error);
  }
  try {
    // Nothing is of that id, and nothing is made: it is refused all the same where this user, or this server, may not write.
    await db.collection<{ _id: string }>(name).updateOne({ _id: NOBODY }, { $set: { doctor: true } });
  } catch (error) {
    throw mongoError(`write to MongoDB "${MONGODB_DATABASE}.${name}"`, error);
  }
  return `answers, readings are kept in ${MONGODB_DATABASE}.${name}`;
}
