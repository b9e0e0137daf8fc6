/** Who may read what. */
import { type Check, fail, MILLRACE, MUST, notRun, pass, verdict } from "../check.ts";
import { show } from "../sse-parser.ts";
import { errorProblem } from "./status.ts";

const area = "auth";

const FORBIDDEN = {
  error: "Forbidden",
  message: "You can only stream events for your own company",
};

/** The token with its signature changed, without one, and something that is no token. */
function forgeries(token: string): Readonly<Record<string, string>> {
  const [header = "", payload = "", signature = ""] = token.split(".");
  const none = Buffer.from('{"alg":"none","typ":"JWT"}').toString("base64url");
  const at = Math.floor(signature.length / 2);
  const swapped = `${signature.slice(0, at)}${signature[at] === "A" ? "B" : "A"}${signature.slice(at + 1)}`;
  return {
    "a changed signature": `${header}.${payload}.${swapped}`,
    "no signature": `${header}.${payload}.`,
    "alg none": `${none}.${payload}.`,
    nonsense: "nonsense",
  };
}

export const authChecks: readonly Check[] = [
  {
    id: "auth.required",
    area,
    title: "Without a token the stream is refused with 401, which names the scheme",
    source: "RFC 9110 15.5.2, 11.6.1 (WWW-Authenticate)",
    levels: MUST,
    needs: ["auth"],
    async run(context) {
      const answer = await context.askStream({ token: null });
      if (answer.status !== 401) return fail(`no token was answered ${answer.status}, expected 401`);
      return answer.headers["www-authenticate"]
        ? pass(`401, www-authenticate: ${answer.headers["www-authenticate"]}`)
        : fail("401 without a WWW-Authenticate header, which a 401 must have");
    },
  },
  {
    id: "auth.forged",
    area,
    title: "A token that was tampered with is refused with 401",
    source: "RFC 7519 7.2; RFC 8725 3.1, 3.2 (algorithms)",
    levels: MUST,
    needs: ["auth"],
    async run(context) {
      for (const [name, token] of Object.entries(forgeries(context.target.token ?? ""))) {
        const answer = await context.askStream({ token });
        if (answer.status !== 401) return fail(`${name} was answered ${answer.status}, expected 401`);
        if (answer.text.includes(token)) return fail(`the answer to ${name} repeats the token`);
      }
      return pass("4 forgeries, each 401");
    },
  },
  {
    id: "auth.other-company",
    area,
    title: "Another company's stream is refused with 403 and the exact words",
    source: "Millrace PROTOCOL, streams (refusals)",
    levels: MILLRACE,
    needs: ["auth"],
    async run(context) {
      const answer = await context.askStream({ company: context.target.otherCompany });
      const problem = errorProblem(answer, 403);
      if (problem) return fail(problem);
      return verdict(
        answer.text.trim() === JSON.stringify(FORBIDDEN)
          ? undefined
          : `the body ${answer.text}, expected ${JSON.stringify(FORBIDDEN)}`,
        answer.text.trim(),
      );
    },
  },
  {
    id: "auth.other-company-generic",
    area,
    title: "Another company's stream is not opened",
    source: "RFC 9110 15.5.4 (403), 15.5.5 (404)",
    levels: { sse: "MUST" },
    needs: ["auth"],
    async run(context) {
      const answer = await context.askStream({ company: context.target.otherCompany });
      return verdict(
        answer.status === 403 || answer.status === 404
          ? undefined
          : `${context.target.otherCompany} was answered ${answer.status}, expected 403 or 404`,
        `${answer.status}`,
      );
    },
  },
  {
    id: "auth.token-in-url",
    area,
    title: "A JWT in the URL is refused with 400, and the answer says why without repeating it",
    source: "Millrace PROTOCOL, who may read what; RFC 6750 5.3 (do not pass bearer tokens in page URLs)",
    levels: MILLRACE,
    needs: ["auth"],
    async run(context) {
      const { token } = context.target;
      if (token?.split(".").length !== 3) return notRun("the token is not a JWT");
      for (const name of ["token", "access_token", "jwt"]) {
        const answer = await context.askStream({ token: null, query: { [name]: token } });
        const problem = errorProblem(answer, 400);
        if (problem) return fail(`?${name}=: ${problem}`);
        if (answer.text.includes(token)) return fail(`the answer to ?${name}= repeats the token`);
        if (!/url/i.test(answer.text))
          return fail(`?${name}=: the body ${show(answer.text)} does not say that URLs are the reason`);
      }
      return pass("400, and says why");
    },
  },
];
