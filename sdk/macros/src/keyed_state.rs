//! `#[keyed_state]`.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{Error, LitInt, Path, Result, Type, meta, parse::Parser};

use crate::signature::{Config, Signature, argument_of, as_result, by_value, fallible, parse, without_lifetimes};

const EXAMPLE: &str =
    "fn name(key: Key, state: Option<State>, rows: Rows<Row>, ctx: &mut KeyContext<Output>) -> Option<State>";

pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let (version, migrate) = options(arguments)?;
    let function = parse(item, "keyed_state", EXAMPLE)?;
    let signature = Signature::of(&function, EXAMPLE)?;
    let refuse = |place: &dyn ToTokens, what: &str| Error::new_spanned(place, format!("{what}: write `{EXAMPLE}`"));

    let (key, state, rows, context, config) = match signature.parameters.as_slice() {
        [key, state, rows, context] => (key, state, rows, context, Config::NONE),
        [key, state, rows, context, config] => (key, state, rows, context, Config::of(&config.ty)?),
        _ => {
            return Err(refuse(
                &function.sig,
                "a keyed state is handed its key, its state, the key's rows and a context",
            ));
        }
    };
    let key = by_value(&key.ty, "a key", EXAMPLE)?;
    let state = argument_of(&state.ty, "Option").ok_or_else(|| refuse(&state.ty, "a new key has no state yet"))?;
    let input = argument_of(&rows.ty, "Rows").ok_or_else(|| refuse(&rows.ty, "the key's rows come together"))?;
    let output = match &*context.ty {
        Type::Reference(context) => argument_of(&context.elem, "KeyContext"),
        _ => None,
    };
    let output = output.ok_or_else(|| refuse(&context.ty, "rows and timers go through a context"))?;
    let missing = "the new state is returned, or none to remove it: write `-> Option<State>`";
    let (returned, fails) = fallible(signature.output(missing)?);
    if argument_of(returned, "Option").is_none() {
        return Err(Error::new_spanned(returned, missing));
    }

    let [state, input, output] = [state, input, output].map(|ty| without_lifetimes(ty.to_token_stream()));
    let migrate = migrate.map_or_else(
        || quote!(::tidemill_sdk::expand::no_migration::<#state>(from_version, state)),
        |migrate| quote!(#migrate(from_version, state)),
    );
    let (name, doc, config_type, config) = (signature.name(), &signature.doc, config.ty(), config.argument());
    let call = as_result(&quote!(#name(key, state, rows, context, #config)), fails);
    Ok(signature.with_definition(&quote! {
        ::tidemill_sdk::expand::Definition::keyed_state::<#key, #input, #output, #config_type>(
            #doc,
            #version,
            |config, work| {
                ::tidemill_sdk::expand::update(work, |key, state, rows, context| #call)
            },
            |from_version, states| ::tidemill_sdk::expand::migrate(states, |state| #migrate),
        )
    }))
}

/// `version = 1, migrate = upgrade`.
fn options(arguments: TokenStream) -> Result<(u32, Option<Path>)> {
    let (mut version, mut migrate) = (1, None);
    meta::parser(|option| {
        if option.path.is_ident("version") {
            version = option.value()?.parse::<LitInt>()?.base10_parse()?;
        } else if option.path.is_ident("migrate") {
            migrate = Some(option.value()?.parse()?);
        } else {
            return Err(option.error("write `version = 2` or `migrate = function`"));
        }
        Ok(())
    })
    .parse2(arguments)?;
    Ok((version, migrate))
}
