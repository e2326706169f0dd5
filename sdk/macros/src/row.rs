//! `#[derive(Row)]`.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{
    Data, DataStruct, DeriveInput, Error, Field, Fields, GenericParam, Index, Lifetime, LitStr, Result, Type,
    ext::IdentExt,
};

pub(crate) fn derive(item: &DeriveInput) -> Result<TokenStream> {
    let Data::Struct(DataStruct { fields: Fields::Named(fields), .. }) = &item.data else {
        let example = "struct Name { column: i64 }";
        return Err(Error::new_spanned(
            &item.ident,
            format!("a row is a struct whose fields have names: write `{example}`"),
        ));
    };
    let lifetime = lifetime(item)?;
    fields.named.iter().try_for_each(refuse_other_numbers)?;
    let name = &item.ident;
    let (columns, idents, types): (Vec<_>, Vec<_>, Vec<_>) = {
        let columns = fields.named.iter().map(column_name).collect::<Result<Vec<_>>>()?;
        (columns, fields.named.iter().map(|f| &f.ident).collect(), fields.named.iter().map(|f| &f.ty).collect())
    };
    for (index, column) in columns.iter().enumerate() {
        if columns[..index].contains(column) {
            let message = format!("two fields are the column `{column}`: rename one of them");
            return Err(Error::new_spanned(&fields.named[index], message));
        }
    }

    let indices: Vec<Index> = (0..columns.len()).map(Index::from).collect();
    let readers: Vec<_> = (0..columns.len()).map(|index| format_ident!("column_{index}")).collect();
    let (impl_generics, ty_generics, _) = item.generics.split_for_impl();
    let fixed = lifetime.map_or_else(|| quote!(#name), |_| quote!(#name<'static>));
    let batch = lifetime.map_or_else(|| quote!('batch), |lifetime| quote!(#lifetime));
    let sdk = quote!(::tidemill_sdk::expand);
    Ok(quote! {
        impl #impl_generics #sdk::Row for #name #ty_generics {
            type Static = #fixed;
            type Writer = (#(<#types as #sdk::Cell>::Writer,)*);

            fn fields() -> ::std::vec::Vec<#sdk::Field> {
                ::std::vec![#(#sdk::field::<#types>(#columns)),*]
            }
            fn writer(capacity: #sdk::Capacity) -> Self::Writer {
                (#(<#types as #sdk::Cell>::writer(capacity),)*)
            }
            #[inline(always)]
            fn write(self, writer: &mut Self::Writer, source: #sdk::Source<'_>) {
                #(#sdk::Cell::write(self.#idents, &mut writer.#indices, source);)*
            }
            fn finish(writer: Self::Writer) -> ::std::vec::Vec<#sdk::Column> {
                ::std::vec![#(<#types as #sdk::Cell>::finish(writer.#indices)),*]
            }
        }

        impl<#batch> #sdk::ReadRow<#batch> for #name #ty_generics {
            type Reader = (#(<#types as #sdk::ReadCell<#batch>>::Reader,)*);

            fn reader(batch: &#batch #sdk::Batch) -> ::core::result::Result<Self::Reader, #sdk::Failure> {
                ::core::result::Result::Ok((#(#sdk::column::<#types>(batch, #indices, #columns)?,)*))
            }
            #[inline(always)]
            fn read((#(#readers,)*): &Self::Reader, row: usize) -> Self {
                #name { #(#idents: #sdk::ReadCell::read(#readers, row)),* }
            }
        }
    })
}

/// The lifetime of what the row borrows, if it borrows.
fn lifetime(item: &DeriveInput) -> Result<Option<&Lifetime>> {
    let mut lifetimes = item.generics.params.iter().map(|parameter| match parameter {
        GenericParam::Lifetime(lifetime) => Ok(&lifetime.lifetime),
        other => Err(Error::new_spanned(other, "a row has columns of known types: write the types out")),
    });
    let first = lifetimes.next().transpose()?;
    match lifetimes.next() {
        None => Ok(first),
        Some(_) => {
            Err(Error::new_spanned(&item.generics, "all of a row is borrowed from one batch: write one lifetime"))
        }
    }
}

/// Refuses the types most often tried in vain. Whatever else is no column the compiler refuses, in more words.
fn refuse_other_numbers(field: &Field) -> Result<()> {
    const OTHERS: [&str; 11] = ["u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i128", "isize", "char"];
    let Type::Path(path) = &field.ty else { return Ok(()) };
    match path.path.get_ident() {
        Some(name) if OTHERS.iter().any(|other| name == other) => {
            let message = format!(
                "no column holds `{name}`: write `i32` or `i64` for a whole number, `String` or `&str` for text"
            );
            Err(Error::new_spanned(name, message))
        }
        _ => Ok(()),
    }
}

/// The name of a field's column: the field's, or that of `#[row(rename = "..")]`.
fn column_name(field: &Field) -> Result<String> {
    let mut name = field.ident.as_ref().expect("only structs with named fields come here").unraw().to_string();
    for attribute in field.attrs.iter().filter(|attribute| attribute.path().is_ident("row")) {
        attribute.parse_nested_meta(|option| {
            if !option.path.is_ident("rename") {
                return Err(option.error("write `#[row(rename = \"column\")]`"));
            }
            name = option.value()?.parse::<LitStr>()?.value();
            Ok(())
        })?;
    }
    Ok(name)
}
